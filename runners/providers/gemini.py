"""The Gemini CLI (`gemini --output-format stream-json`) as a Runtime.

Two properties of the CLI shape how it is started; both were found in its program, version 0.61.0.
It expands `@path` and drops blanks in every prompt but what is given to a command of the user's: so the prompt is given
to one (gemini_task.toml), whose name nobody can know, since a repository's command of the same name would win.
It reads its settings before its arguments: `--skip-trust` therefore comes too late for what the repository brings
(.gemini/settings.json, .env, hooks, servers, policies) and in time for the tools. What is read later is off in
gemini_settings.json (agents, skills) and gemini_preload.cjs (GEMINI.md).
"""

from __future__ import annotations

import secrets
from importlib.resources import files
from typing import Any, Final

import msgspec

from runners.providers.gemini_lines import GeminiReader
from runners.providers.protocol import Access, Door, Jail, Request
from runners.providers.runtime import Reader, Start
from runners.providers.tools import GEMINI, node, tool

PROGRAM: Final = GEMINI
INSIDE: Final = "/opt/rt/gemini"
NODE: Final = "/opt/rt/node"
OURS: Final = "/opt/gw/gemini"
HOME: Final = "/home/agent/.gemini"
LOOK: Final = ("list_directory", "read_file", "grep_search", "glob")
TOOLS: Final = {Access.READ: LOOK, Access.WRITE: (*LOOK, "replace", "write_file", "run_shell_command")}


class Gemini:
    """Runs the bundle of @google/gemini-cli that `make tools` installs, or the gemini.js that `binary` names."""

    name = "gemini"
    label = "Gemini CLI"

    def __init__(self, *, binary: str = "", tools_dir: str = "") -> None:
        self._binary = binary
        self._tools_dir = tools_dir

    def start(self, request: Request, prompt: str, jail: Jail, door: Door) -> Start:
        """Say how to run one prompt; raises GW-MODEL-RUNTIME-MISSING where CLI or Node.js is not installed."""
        program = tool(self._tools_dir, PROGRAM, label=self.label, binary=self._binary)
        task = f"task-{secrets.token_hex(8)}"
        return Start(
            argv=(
                "/bin/sh", f"{OURS}/start.sh", NODE, "--require", f"{OURS}/preload.cjs", f"{INSIDE}/{program.name}",
                "--model", request.model, "--output-format", "stream-json", "--approval-mode", "yolo", "--skip-trust",
                "--extensions", "none",
            ),
            env={
                "GEMINI_API_KEY": door.token,
                "GOOGLE_GEMINI_BASE_URL": jail.gateway_url,
                "GEMINI_CLI_NO_RELAUNCH": "true",
                "GEMINI_TELEMETRY_ENABLED": "false",
                "TERM": "xterm-256color",  # a lesser one earns warnings on stderr
            },
            binds=((node(self._tools_dir, label=self.label), NODE), (program.parent, INSIDE)),
            files={
                f"{HOME}/settings.json": msgspec.json.encode(settings(request)),
                f"{HOME}/commands/{task}.toml": _data("gemini_task.toml"),
                f"{OURS}/start.sh": _data("gemini_start.sh"),
                f"{OURS}/shell.sh": _data("gemini_shell.sh"),
                f"{OURS}/preload.cjs": _data("gemini_preload.cjs"),
            },
            stdin=given(task, prompt),
        )  # fmt: skip

    def reader(self, request: Request, jail: Jail) -> Reader:  # noqa: ARG002 - the protocol's
        """Make the reader of one run."""
        return GeminiReader()


def given(task: str, prompt: str) -> bytes:
    """Put a prompt into the call of a command; both its ends are ours, since the CLI trims."""
    return f"/{task} begins\n{prompt}\n/{task} ends".encode()


def settings(request: Request) -> dict[str, Any]:
    """Complete gemini_settings.json for one run; the tools it names are neither the web's nor sub-agents'."""
    made: dict[str, Any] = msgspec.json.decode(_data("gemini_settings.json"))
    limits = request.limits
    made["tools"] |= {"core": TOOLS[request.access], "truncateToolOutputThreshold": limits.output_bytes}
    made["tools"]["shell"]["inactivityTimeout"] = round(limits.wall_seconds)  # silence of a command is no fault
    return made


def _data(name: str) -> bytes:
    return (files(__package__) / name).read_bytes()
