"""The GitHub Copilot CLI (`@github/copilot-*`) as a Runtime, with the gateway as its own provider of models.

The program is GitHub's, under a licence of its own: whoever runs workers installs it, Gatewright brings none of it.
What the repository says to Copilot (AGENTS.md and the like, .mcp.json, hooks, agents, extensions) is not loaded: that
takes a trusted folder, and none is named here. Skills are found all the same, but no tool is offered that shows them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from runners.providers.copilot_events import CopilotReader
from runners.providers.copilot_package import INSIDE, unpacked
from runners.providers.protocol import Access, Door, Jail, Limits, Request
from runners.providers.runtime import Reader, Start
from runners.providers.tools import COPILOT, tool

RELATIVE: Final = COPILOT
HOME: Final = "/home/agent"
PACKAGE: Final = f"{HOME}/.cache/copilot/pkg"
TOOLS: Final = {  # as models of all families are offered them: GPT-5 gets apply_patch, the others edit and create
    Access.READ: ("view", "grep", "glob"),
    Access.WRITE: ("bash", "read_bash", "stop_bash", "view", "create", "edit", "apply_patch", "grep", "glob"),
}
SETTINGS: Final = {"disableAllHooks": True, "includeCoAuthoredBy": False, "memory": False, "autoUpdate": False}
OPTIONS: Final = (
    "--allow-all-tools", "--allow-all-paths", "--no-ask-user", "--no-custom-instructions", "--disable-builtin-mcps",
    "--no-auto-update", "--no-remote", "--no-color", "--output-format", "json", "--log-level", "none",
)  # fmt: skip
PATIENCE: Final = 0.8  # of the idle clock, in which a command left in the background may hold up a finished run


class Copilot:
    """Runs the program of `tools_dir`, or the one that `binary` names; `cache` keeps what it unpacks.

    `context` is how many tokens the model can read, where Copilot does not know the model; 0 leaves it to its guess.
    """

    name = "copilot"
    label = "GitHub Copilot CLI"

    def __init__(self, *, tools_dir: str = "", binary: str = "", cache: Path | None = None, context: int = 0) -> None:
        self._tools_dir = tools_dir
        self._binary = binary
        self._cache = cache or _own_cache()
        self._context = context

    def program(self) -> Path:
        """Find the program; raises GW-MODEL-RUNTIME-MISSING where it is not installed."""
        return tool(self._tools_dir, RELATIVE, label=self.label, binary=self._binary)

    def start(self, request: Request, prompt: str, jail: Jail, door: Door) -> Start:
        """Say how to run one prompt; the first start of a version takes seconds, for it is unpacked then.

        The prompt goes to standard input, where nothing in it is a command or the name of a file to Copilot; only
        white space at its end is lost.
        """
        program = self.program()
        package = unpacked(program, self._cache, jail) if self._cache else None
        kept = ((package, PACKAGE),) if package else ()
        return Start(
            argv=(INSIDE, *OPTIONS, f"--available-tools={','.join(TOOLS[request.access])}"),
            env=environment(request.model, request.limits, jail.gateway_url, door.token, self._context),
            binds=((program, INSIDE), *kept),
            files={f"{HOME}/.copilot/settings.json": msgspec.json.encode(SETTINGS)},
            stdin=prompt.encode(),
        )

    def reader(self, request: Request, jail: Jail) -> Reader:  # noqa: ARG002 - the protocol's
        """Make the reader of one run."""
        return CopilotReader()


def environment(model: str, limits: Limits, gateway_url: str, token: str, context: int) -> dict[str, str]:
    """Say where models are asked; offline means that nothing else is: no login, no telemetry, no web, no updates.

    Its state lies where it looks for it by itself, in the home that ends with the jail.
    """
    env = {
        "COPILOT_OFFLINE": "true",
        "COPILOT_AUTO_UPDATE": "false",
        "COPILOT_PROVIDER_TYPE": "openai",
        "COPILOT_PROVIDER_BASE_URL": f"{gateway_url}/v1",
        "COPILOT_PROVIDER_API_KEY": token,
        "COPILOT_MODEL": model,
        "COPILOT_TASK_WAIT_TIMEOUT_SECONDS": str(max(1, int(limits.idle_seconds * PATIENCE))),
    }
    if context:
        env["COPILOT_PROVIDER_MAX_PROMPT_TOKENS"] = str(context)
    return env


def _own_cache() -> Path | None:
    """Name the cache of whoever runs the worker; a service's user may have no home."""
    try:
        return Path.home() / ".cache" / "gatewright"
    except RuntimeError:
        return None
