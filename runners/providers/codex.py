"""The Codex CLI (`codex exec --json`) as a Runtime.

Its own sandbox is off: our jail is around the whole of it, and a second one inside can neither be started there nor
confine anything more. What the repository says to Codex (AGENTS.md, .codex, .agents/skills, hooks, rules) is not read,
since the repository may come from anybody.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec

from runners.providers.codex_items import CodexReader
from runners.providers.protocol import Door, Jail, Limits, Request
from runners.providers.runtime import Reader, Start
from runners.providers.tools import absent, tool

INSIDE: Final = "/opt/rt/codex"
HOME: Final = "/home/agent/.codex"  # not below TMPDIR, where Codex refuses to lay its helpers and every patch fails
BYTES_PER_TOKEN: Final = 4
OFF: Final = (
    "apps", "plugins", "remote_plugin", "tool_suggest", "hooks", "goals", "memories", "multi_agent", "image_generation",
    "browser_use", "computer_use", "shell_snapshot", "daemon_auto_start", "api_key_model_discovery",
    "enable_request_compression", "skill_mcp_dependency_install", "unbounded_connection_retries",
)  # fmt: skip
UNTRUSTED: Final = b'[projects."/workspace"]\ntrust_level = "untrusted"\n'


class Codex:
    """Runs `codex` from the package openai-codex-cli-bin, or the program that `binary` names.

    `context` is what the model can read, in tokens; 0 is what Codex knows of it. A model that Codex does not know gets
    no tool for patches: it sends them through the shell, where Codex takes them all the same.
    """

    name = "codex"
    label = "Codex"

    def __init__(self, *, binary: str = "", context: int = 0) -> None:
        self._binary = binary
        self._context = [f"model_context_window={context}"] if context else []

    def start(self, request: Request, prompt: str, jail: Jail, door: Door) -> Start:
        """Say how to run one prompt; raises GW-MODEL-RUNTIME-MISSING where the program is not installed."""
        source, inside = shown(program(self._binary))
        argv = [
            inside, "exec", "--json", "--ignore-user-config", "--ignore-rules", "--ephemeral", "--skip-git-repo-check",
            "-C", jail.inside, "-m", request.model, "-s", "danger-full-access",
        ]  # fmt: skip
        for setting in (*settings(request.limits, jail), *self._context):
            argv += ["-c", setting]
        return Start(
            argv=(*argv, "-"),
            env={"CODEX_HOME": HOME, "GW_KEY": door.token},
            binds=((source, INSIDE),),
            files={f"{HOME}/config.toml": UNTRUSTED},
            stdin=prompt.encode(),
        )

    def reader(self, request: Request, jail: Jail) -> Reader:  # noqa: ARG002 - the protocol's
        """Make the reader of one run."""
        return CodexReader(jail)


def settings(limits: Limits, jail: Jail) -> list[str]:
    """Say what would stand in Codex's configuration: one provider, the gateway, and nothing else that calls out.

    The gateway asks again after errors, Codex only after a stream that broke; its own clocks are longer than ours.
    """
    provider = {
        "name": "gw", "base_url": f"{jail.gateway_url}/v1", "env_key": "GW_KEY", "wire_api": "responses",
        "request_max_retries": 0, "stream_max_retries": 2,
        "stream_idle_timeout_ms": round(2000 * limits.wall_seconds),
    }  # fmt: skip
    table = ",".join(f"{name}={msgspec.json.encode(value).decode()}" for name, value in provider.items())
    return [
        'model_provider="gw"',
        f"model_providers.gw={{{table}}}",
        # Without this, a run that may do everything makes Codex trust the folder, and start the servers it names.
        f'projects={{"{jail.inside}"={{trust_level="untrusted"}}}}',
        "check_for_update_on_startup=false",
        "analytics.enabled=false",
        'web_search="disabled"',
        "project_doc_max_bytes=0",
        "skills.include_instructions=false",
        "agents.enabled=false",  # what sub-agents do is on none of its lines
        "tools.experimental_request_user_input.enabled=false",
        'shell_environment_policy.inherit="all"',
        'shell_environment_policy.exclude=["GW_KEY"]',
        f"tool_output_token_limit={limits.output_bytes // BYTES_PER_TOKEN}",
        *(f"features.{name}=false" for name in OFF),
    ]


def program(binary: str = "") -> Path:
    """Find the program: `binary` where it is set, else the installed package's."""
    if binary:
        return tool("", "", label=Codex.label, binary=binary)
    fix = "Install the extra: pip install 'gatewright[codex]' (it brings openai-codex-cli-bin)."
    package = find_spec("codex_cli_bin")
    if package is None or package.origin is None:
        raise absent(Codex.label, "the package openai-codex-cli-bin is not installed", fix)
    path = Path(package.origin).parent / "bin" / "codex"
    if not path.is_file():
        raise absent(Codex.label, f"{path} does not exist: the package has no program for this platform", fix)
    return path


def shown(path: Path) -> tuple[Path, str]:
    """Say what of a program's folder the jail is shown, and where the program then is.

    A package brings helpers beside it (`rg`, the host of code mode), which Codex finds by its own place.
    """
    package = path.resolve().parents[1]
    if (package / "codex-package.json").is_file():
        return package, f"{INSIDE}/{path.resolve().relative_to(package)}"
    return path, INSIDE
