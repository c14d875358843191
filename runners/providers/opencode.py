"""OpenCode, started in the jail with a configuration of ours alone."""

from __future__ import annotations

import json
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from runners.providers.opencode_lines import Lines
from runners.providers.protocol import Access, Door, Jail, Request
from runners.providers.runtime import Start
from runners.providers.tools import OPENCODE, RIPGREP, SYSTEM, tool

PROGRAM: Final = OPENCODE
SEARCH: Final = RIPGREP
INSIDE: Final = "/opt/rt/opencode"
SEARCH_INSIDE: Final = "/home/agent/.cache/opencode/bin/rg"  # where OpenCode would download it to
CONFIG: Final = "/opt/rt/opencode.config"  # read-only: OpenCode would install an npm package into what it can write
STAND: Final = f"{CONFIG}/opencode"  # where it stands: opencode.js says why not in the worktree
PROVIDER: Final = "gatewright"  # no provider that OpenCode knows, so that it makes no exceptions for it
CONTEXT: Final = 128_000  # tokens
OUTPUT_MAX: Final = 16_384  # tokens of one answer; many models refuse to be asked for more
TITLE: Final = "task"  # or the model is asked for one
ENV: Final = {
    "XDG_CONFIG_HOME": CONFIG,
    "OPENCODE_DISABLE_PROJECT_CONFIG": "1",
    "OPENCODE_DISABLE_EXTERNAL_SKILLS": "1",
    "OPENCODE_DISABLE_CLAUDE_CODE": "1",
    "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    "OPENCODE_DISABLE_SHARE": "1",
    "OPENCODE_EXPERIMENTAL_DISABLE_FILEWATCHER": "1",
}
# The last rule that fits counts. Sub-agents would run out of sight of this reader; questions have nobody to answer.
_RULES: Final = {
    Access.READ: {"*": "deny", "read": "allow", "grep": "allow", "glob": "allow", "external_directory": "allow"},
    Access.WRITE: {
        "*": "allow", "task": "deny", "question": "deny", "skill": "deny", "webfetch": "deny", "websearch": "deny",
    },
}  # fmt: skip


class OpenCode:
    """OpenCode 1.18; `context` is how many tokens the model reads, by which it shortens long conversations."""

    name = "opencode"
    label = "OpenCode"

    def __init__(self, *, tools_dir: str = "", binary: str = "", context: int = 0) -> None:
        self._tools_dir = tools_dir
        self._binary = binary
        self._context = context or CONTEXT

    def start(self, request: Request, prompt: str, jail: Jail, door: Door) -> Start:
        """Say how to run one prompt; as standard input it reaches the model byte for byte."""
        program = tool(self._tools_dir, PROGRAM, label=self.label, binary=self._binary)
        model = request.model.partition("/")[2]
        config = configuration(model, request.access, f"{jail.gateway_url}/v1", door.token, self._context)
        return Start(
            argv=(INSIDE, "run", "--dir", STAND, "--format", "json", "--title", TITLE, "-m", f"{PROVIDER}/{model}"),
            env=ENV,
            binds=((program, INSIDE), *self._search()),
            files={
                f"{STAND}/opencode.json": json.dumps(config).encode(),
                f"{STAND}/.gitignore": b"",  # it writes one where there is none, and ends where it cannot
                f"{STAND}/watch.js": (files(__package__) / "opencode.js").read_bytes(),
            },
            stdin=prompt.encode(errors="replace"),
        )

    def _search(self) -> list[tuple[Path, str]]:
        """Bring ripgrep, without which OpenCode neither searches nor lists files, where the machine has none."""
        if shutil.which("rg", path=SYSTEM):
            return []
        return [(tool(self._tools_dir, SEARCH, label="ripgrep, which OpenCode searches with,"), SEARCH_INSIDE)]

    def reader(self, request: Request, jail: Jail) -> Lines:  # noqa: ARG002 - every run speaks alike
        """Make the reader of one run."""
        return Lines()


def configuration(model: str, access: Access, url: str, token: str, context: int) -> dict[str, Any]:
    """Complete opencode.json with what differs from run to run."""
    limit = {"context": context, "output": min(OUTPUT_MAX, context // 4)}
    # No time-out: the gateway watches over the model's silence.
    options = {"baseURL": url, "apiKey": token, "timeout": False}
    models = {model: {"tool_call": True, "limit": limit}}
    fixed: dict[str, Any] = json.loads((files(__package__) / "opencode.json").read_text("utf-8"))
    return fixed | {
        "model": f"{PROVIDER}/{model}",
        "small_model": f"{PROVIDER}/{model}",
        "provider": {PROVIDER: {"npm": "@ai-sdk/openai-compatible", "options": options, "models": models}},
        "permission": _RULES[access],
    }
