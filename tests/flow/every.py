"""The same two-file task through one provider, alone with a scripted model on a machine that has nothing but loopback.

`python -m tests.flow.every PROVIDER FOLDER [BUDGET=NUMBER]` goes into a network namespace of its own where it may,
as root, plays `gatewright demo --yes` there with the provider's genuine runtime, and prints what came of it as JSON.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import json
import os
import secrets
import socket
import struct
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tests.flow.house import toml
from tests.runners.providers.cases import CASES
from tests.runners.providers.contract import ProviderCase
from tests.simulators.models import ModelServer, Script, Step
from tests.simulators.models.server import REAL_KEY

MARK = "written by the model"  # in what it writes, so that a stateless model sees that it has
SPEC = """# Retry the payment client with back-off

There are no words for errors yet. Afterwards there is a module that has them.

## Acceptance criteria

- **AC-1**: `pay.words.explain(503)` says that the provider is busy.
"""
PLAN = """# Plan: Retry the payment client with back-off

One new module and its test.

## Steps

### 1. Put errors into words

- Files: `pay/words.py`, `tests/test_words.py`
- Criteria: AC-1
- Verify: `python3 -m unittest tests.test_words`

A function from status to words.
"""
FILES = {
    "pay/words.py": (
        f'"""Words, {MARK}."""\n\n\ndef explain(status):\n    return "the provider is busy" if status == 503 else ""\n'
    ),
    "tests/test_words.py": (
        f'"""Tests, {MARK}."""\n\nimport unittest\n\nfrom pay.words import explain\n\n\n'
        'class WordsTest(unittest.TestCase):\n    def test_busy(self):\n        self.assertIn("busy", explain(503))\n'
    ),
}
VERDICT = {
    "criteria": [{"id": "AC-1", "met": "met", "evidence": "`pay/words.py:5` and its test"}],
    "summary": "I read both files.",
}


def story(case: ProviderCase) -> Script:
    """Answer each phase by what stands in the request; the same request gets the same answer."""

    def during(phase: str, step: Step, also: str = "") -> Any:
        def answer(body: dict[str, Any]) -> Step | None:
            raw = json.dumps(body, ensure_ascii=False)
            return step if f"Your phase: {phase}" in raw and also in raw else None

        return answer

    writes = Step(tools=tuple(case.write(path, content) for path, content in FILES.items()))
    ways = [
        during("spec", Step(text=SPEC)), during("planning", Step(text=PLAN)), during("qa", case.answer(VERDICT)),
        during("coding", Step(text="Done."), MARK), during("coding", writes),
    ]  # fmt: skip

    def answer(body: dict[str, Any]) -> Step:
        return next((step for way in ways if (step := way(body))), Step(status=400, body="no phase in the request"))

    return Script([answer] * 100)


def tables(name: str, case: ProviderCase, url: str, budget: dict[str, int]) -> dict[str, dict[str, Any]]:
    """Write the settings of one provider: its address and the key that only the gateway may see."""
    table = {"base_url": url + ("/v1" if case.dialect == "openai" else ""), "api_key": REAL_KEY}
    extra = {"bedrock": {"region": "eu-west-1"}, "azure-older": {"api_version": "2024-10-21"}}.get(name, {})
    section = {
        "endpoint": "endpoints.here", "opencode": "endpoints.here", "azure-older": "providers.azure",
    }.get(name, f"providers.{name}")  # fmt: skip
    # Slots of workers are told apart per network: one of another network must not sweep our user clean.
    user = 100_000 + secrets.randbelow(100_000)
    return {section: table | extra, "budget": budget, "sandbox": {"user": user}}


def model_string(name: str, case: ProviderCase) -> str:
    """Say the model as a profile would."""
    prefix = {
        "claude": "", "codex": "", "gemini": "", "endpoint": "here:", "opencode": "opencode:here/",
        "azure-older": "azure:",
    }.get(name, f"{name}:")  # fmt: skip
    return prefix + case.model


def alone() -> bool:
    """Leave all networks but a loopback of our own; False where this user may not."""
    if os.geteuid() != 0:
        return False
    if ctypes.CDLL(None, use_errno=True).unshare(0x40000000):  # CLONE_NEWNET
        raise OSError(ctypes.get_errno(), "unshare")
    with socket.socket() as held:
        request = struct.pack("16sh14x", b"lo", 0x1 | 0x40)  # IFF_UP | IFF_RUNNING
        fcntl.ioctl(held, 0x8914, request)  # SIOCSIFFLAGS
    return True


async def play(name: str, folder: Path, budget: dict[str, int]) -> dict[str, Any]:
    """Run the demo, and say what it left."""
    case = CASES[name]
    async with ModelServer(story(case)) as model:
        config = folder / "gatewright.toml"
        config.write_text(toml(tables(name, case, model.url, budget)), encoding="utf-8")
        config.chmod(0o600)
        words = ["demo", "--yes", "--keep", str(folder / "kept"), "--config", str(config)]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "bot", *words, "--model", model_string(name, case),
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=folder,
        )  # fmt: skip
        said, _ = await process.communicate()
        refused = len(model.refused)
    log = folder / "kept" / "data" / "worker.log"
    lines = log.read_text().splitlines() if log.is_file() else []  # without one nothing has begun: the code says so
    outside = [line for line in lines if "gateway.outside" in line]
    found = {"code": process.returncode, "said": said.decode(errors="replace"), "refused": refused, "outside": outside}
    return found | evidence(folder / "kept")


def evidence(kept: Path) -> dict[str, Any]:
    """Read the shape of the evidence: files, kinds of records, their keys, and each model call's end."""
    [*found] = kept.glob("**/.gatewright/tasks/*")
    if not found:
        return {}
    task = found[0]
    records = [
        json.loads(line) for segment in sorted(task.glob("audit/*.jsonl")) for line in segment.read_text().splitlines()
    ]
    keys: dict[str, list[str]] = {}
    for record in records:
        keys[record["kind"]] = sorted({*keys.get(record["kind"], []), *record["data"]})
    return {
        "files": sorted(str(path.relative_to(task)) for path in task.rglob("*") if path.is_file()),
        "kinds": dict(Counter(record["kind"] for record in records)),
        "keys": keys,
        "changed": sorted(path for path in FILES if (task.parents[2] / path).is_file()),
        "leaks": [str(path) for path in kept.rglob("*") if path.is_file() and REAL_KEY.encode() in path.read_bytes()],
    }


def main() -> None:
    """Play one provider and print what came of it."""
    name, folder, *rest = sys.argv[1:]
    is_alone = alone()
    found = asyncio.run(
        play(name, Path(folder), {key: int(most) for key, _, most in (each.partition("=") for each in rest)})
    )
    print(json.dumps({"alone": is_alone} | found))


if __name__ == "__main__":
    main()
