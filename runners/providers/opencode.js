// Runs inside OpenCode, which stands in the folder of its own configuration: in a worktree it would run the plugins of
// .opencode/ and read the AGENTS.md of every folder to the model, and no setting stops all of that. So this resolves
// from the worktree what the model names, and says when a tool begins, which OpenCode tells only when it has ended.
import { resolve } from "path"

const WORKTREE = "/workspace"
const ELSEWHERE = /^ *(?:Is directory a git repo|Workspace root folder): .*\n/gm // true of where it stands only
const say = (part) => process.stdout.write(JSON.stringify({ type: "gatewright", part }) + "\n")
const within = (path) => resolve(WORKTREE, path)
const PATHS = { read: "filePath", edit: "filePath", write: "filePath", grep: "path", glob: "path", bash: "workdir" }
const PATCHED = /^(\*\*\* (?:Add File|Update File|Delete File|Move to): )(.+)$/gm

const locate = (tool, args) => {
  const name = PATHS[tool]
  if (name) args[name] = within(args[name] || "")
  if (typeof args.patchText === "string")
    args.patchText = args.patchText.replace(PATCHED, (_, head, path) => head + within(path.trim()))
}

export const Watch = async ({ directory }) => {
  say({})
  const moved = (text) => text.replaceAll(directory, WORKTREE).replace(ELSEWHERE, "")
  return {
    "tool.execute.before": async ({ tool, callID }, { args }) => {
      say({ tool, callID, input: args })
      locate(tool, args)
    },
    "tool.definition": async (_, result) => {
      result.description = moved(result.description)
    },
    "experimental.chat.system.transform": async (_, result) => {
      result.system.splice(0, result.system.length, ...result.system.map(moved))
    },
  }
}
