"""Where the programs of agent runtimes lie on this runner."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from bot.model.errors import GatewrightError

CHECKOUT: Final = Path(__file__).resolve().parents[2]
SYSTEM: Final = "/usr/local/bin:/usr/bin"  # of the machine, which the jail shows
GEMINI: Final = "node_modules/@google/gemini-cli/bundle/gemini.js"
COPILOT: Final = "node_modules/@github/copilot-linux-x64/copilot"
OPENCODE: Final = "node_modules/opencode-linux-x64/bin/opencode"
RIPGREP: Final = "node_modules/@vscode/ripgrep-linux-x64/bin/rg"  # OpenCode searches with it
FIX: Final = "Run `make tools` in the checkout, or name the folder that it fills in worker.tools_dir."


def folder(tools_dir: str) -> Path:
    """Name the folder that `make tools` fills: `[worker] tools_dir`, else the checkout's own."""
    return Path(tools_dir).expanduser().absolute() if tools_dir else CHECKOUT / ".tools"


def tool(tools_dir: str, relative: str, *, label: str, binary: str = "", fix: str = FIX) -> Path:
    """Find a program: `binary` where it is set, else below the tools; raises GW-MODEL-RUNTIME-MISSING."""
    path = Path(binary).expanduser().absolute() if binary else folder(tools_dir) / relative
    if path.is_file():
        return path
    raise absent(label, f"{path} does not exist", "Correct the provider's `binary`, or empty it." if binary else fix)


def node(tools_dir: str, *, label: str) -> Path:
    """Find Node.js: beside the tools, else on PATH; raises GW-MODEL-RUNTIME-MISSING."""
    own = folder(tools_dir) / "bin" / "node"
    found = str(own) if own.is_file() else shutil.which("node")
    if found is None:
        raise absent(label, "there is no program `node`", "Install Node.js 20 or newer.")
    return Path(found)


def absent(label: str, why: str, fix: str) -> GatewrightError:
    """Make the error of a runtime that is not installed."""
    return GatewrightError("GW-MODEL-RUNTIME-MISSING", f"{label} is not installed on this runner", why=why, fix=fix)
