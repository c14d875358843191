// Loaded before Gemini CLI, for two things that it has no setting for.

// Node.js writes to pipes at its leisure, and the CLI leaves without waiting: what it said last would be lost whenever
// nobody has read what it said before.
for (const stream of [process.stdout, process.stderr]) stream._handle?.setBlocking?.(true);

// The CLI looks for GEMINI.md in every folder it trusts (context.fileName only adds names) and obeys it. It asks for
// these with access() alone: its tools still read and write a file of that name like any other.
const files = require("node:fs/promises");
const { access } = files;
files.access = async (path, mode) => {
  if (/(^|\/)GEMINI\.md$/i.test(String(path))) throw Object.assign(new Error("not looked for"), { code: "ENOENT" });
  return access(path, mode);
};
require("node:module").syncBuiltinESMExports();
