"""What it takes to get one answer out of each runtime, beside the bare program: `python -m tests.bench.runtimes`.

`bare` is the program as its own manual starts it, straight to the model, in a home that is kept; `ours` is a whole run
as a phase makes it: adapter, jail, gateway, records. The model answers at once.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bot.model.routing import LABELS, resolve
from bot.settings import ProviderTable, Settings
from runners.providers import claude, codex, copilot, gemini, opencode, registry, tools
from runners.providers.protocol import Access
from tests.bench.figures import Figure, machine
from tests.runners.providers.cases import CASES
from tests.runners.providers.stage import open_stage
from tests.simulators.models import ModelServer, Script, Step
from tests.simulators.models.server import REAL_KEY

ROUNDS = 5
RUNTIMES = ("claude", "codex", "copilot", "gemini", "opencode")
SETTINGS = Settings(endpoints={"behind": ProviderTable(base_url="http://127.0.0.1:9/v1")})  # the stage has the door
GEMINI = {
    "security": {"auth": {"selectedType": "gemini-api-key"}}, "privacy": {"usageStatisticsEnabled": False},
    "general": {"enableAutoUpdate": False},
}  # fmt: skip


def run() -> Sequence[Figure]:
    """Measure in alternating rounds and print."""
    print(f"one answer of each runtime, medians of {ROUNDS} rounds after a first one, s; {machine()}")
    print(f"{'':24}{'bare':>8}{'ours':>8}{'ratio':>8}")
    figures = []
    for name in RUNTIMES:
        label = LABELS[name]
        if lacks := CASES[name].missing():
            print(f"{label:24} absent: {lacks}")
            continue
        bare, ours = asyncio.run(measure(name))
        print(f"{label:24}{bare:>8.2f}{ours:>8.2f}{ours / bare:>8.2f}")
        figures.append(Figure(f"{label}, one answer over bare", ours / bare, "x", note=f"{bare:.2f} and {ours:.2f} s"))
    return figures


async def measure(name: str) -> tuple[float, float]:
    """Time the bare program and a run of its adapter in turns."""
    bare: list[float] = []
    ours: list[float] = []
    with tempfile.TemporaryDirectory(prefix="gw-bench-") as home:
        for _ in range(ROUNDS + 1):
            bare.append(await start(name, Path(home)))
            ours.append(await answer(name))
    return statistics.median(bare[1:]), statistics.median(ours[1:])


async def start(name: str, home: Path) -> float:
    """Time the program by itself."""
    async with ModelServer(Script([Step(text="done", repeat=0)])) as model:
        argv, env = command(name, model.url, home)
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *argv, env={"PATH": os.environ["PATH"], "HOME": str(home), **env}, cwd=home,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, trouble = await process.communicate()
        took = time.perf_counter() - began
        if process.returncode or not model.requests:
            raise RuntimeError(f"{name} did not run: {(said + trouble).decode(errors='replace')[-500:]}")
        return took


def command(name: str, url: str, home: Path) -> tuple[list[str], dict[str, str]]:
    """Say how the manual starts a program for one question, and in which environment."""
    model = CASES[name].model
    if name == "claude":
        quiet = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}
        env = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": REAL_KEY, **quiet}
        return [str(claude.bundled()), "-p", "Hello", "--model", model], env
    if name == "codex":
        provider = f'{{name="m",base_url="{url}/v1",env_key="KEY",wire_api="responses"}}'
        options = ["-c", 'model_provider="m"', "-c", f"model_providers.m={provider}", "-c", "analytics.enabled=false"]
        quiet = ["-c", "check_for_update_on_startup=false", "--skip-git-repo-check", "--ephemeral"]
        (home / "t").mkdir(exist_ok=True)
        env = {"KEY": REAL_KEY, "TMPDIR": str(home / "t")}
        return [str(codex.program("")), "exec", "-m", model, *options, *quiet, "Hello"], env
    if name == "copilot":
        env = {
            "COPILOT_OFFLINE": "true", "COPILOT_PROVIDER_TYPE": "openai", "COPILOT_PROVIDER_BASE_URL": f"{url}/v1",
            "COPILOT_PROVIDER_API_KEY": REAL_KEY, "COPILOT_MODEL": model,
        }  # fmt: skip
        return [str(copilot.Copilot().program()), "-p", "Hello", "--allow-all-tools", "--no-auto-update"], env
    if name == "gemini":
        (home / ".gemini").mkdir(exist_ok=True)
        (home / ".gemini" / "settings.json").write_text(json.dumps(GEMINI))
        env = {"GEMINI_API_KEY": REAL_KEY, "GOOGLE_GEMINI_BASE_URL": url, "GEMINI_CLI_TRUST_WORKSPACE": "true"}
        program = tools.tool("", gemini.PROGRAM, label="Gemini CLI")
        return [str(tools.node("", label="Gemini CLI")), str(program), "-m", model, "-p", "Hello"], env
    options = {"baseURL": f"{url}/v1", "apiKey": REAL_KEY}
    provider = {"npm": "@ai-sdk/openai-compatible", "options": options, "models": {model: {"tool_call": True}}}
    config = {"autoupdate": False, "share": "disabled", "enabled_providers": ["m"], "provider": {"m": provider}}
    env = {
        "OPENCODE_CONFIG_CONTENT": json.dumps(config), "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    }  # fmt: skip
    program = tools.tool("", opencode.PROGRAM, label="OpenCode")
    return [str(program), "run", "-m", f"m/{model}", "--title", "t", "Hello"], env


async def answer(name: str) -> float:
    """Time one run that only answers."""
    case = CASES[name]
    prefix = {"copilot": "copilot:", "opencode": "opencode:behind/"}.get(name, "")
    route = resolve(prefix + case.model, SETTINGS.endpoints)
    provider = registry.create(route, SETTINGS)
    async with open_stage(provider, case.dialect, case.model, [Step(text="done")]) as stage:
        stage.name = route.model
        began = time.perf_counter()
        await stage.run(access=Access.READ)
        return time.perf_counter() - began


if __name__ == "__main__":
    run()
