from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from bot.audit.blobs import Blobs
from bot.audit.redact import redact
from bot.model.state import Step
from bot.settings import ProviderTable, Sandbox
from runners.names import Names
from runners.providers.protocol import Jail
from runners.site import Site
from runners.stream import Recorder
from runners.workspace.open import OpenJail
from runners.workspace.recorded import Commands, Recorded, reach
from tests.runners.stage import CODED, Reports, Stage
from tests.simulators.models import ModelServer, Script, Tool
from tests.simulators.models.script import Step as Model
from tests.simulators.models.server import REAL_KEY

NAMES = Names("42-k7f3qd", 3)
TOKEN = "ghp_" + "a1B2" * 9


def commands(reports: Reports) -> list[tuple[list[str], str]]:
    """Read what ran and what it could reach, each held to its digest."""
    found = []
    for entry in reports.of("command.run"):
        (ref,) = entry["refs"]
        stored = reports.blobs.get(ref["commit"])
        assert (ref["name"], hashlib.sha256(stored).hexdigest()) == ("argv", entry["data"]["argv_sha256"])
        found.append((json.loads(stored), entry["data"]["net"]))
    return found


def run(command: str) -> list[dict[str, Any]]:
    return [{"calls": [{"tool": "run", "arguments": {"command": command}}]}, {"text": "Done."}]


async def test_what_an_agent_runs_is_recorded_before_its_result_under_a_number_of_its_own(stage: Stage) -> None:
    stage.record(coding=[run(f"echo {TOKEN} > calc.py"), *CODED])
    reports = await stage.perform(stage.order(Step.CODING))
    asked = [(argv, net) for argv, net in commands(reports) if argv[-1].startswith("echo")]
    assert asked == [(["/bin/sh", "-c", "echo [redacted:github-token] > calc.py"], "none")]
    kinds = reports.kinds()
    assert kinds[kinds.index("command.run") - 1 : kinds.index("command.run") + 2] == [
        "tool.call", "command.run", "tool.result",
    ]  # fmt: skip
    calls = [e["data"]["call"] for e in reports.entries if e["kind"] in ("model.call", "tool.call", "command.run")]
    assert len(calls) == len(set(calls))


async def test_checks_and_setup_of_a_repository_are_recorded(stage: Stage) -> None:
    stage.record(coding=CODED)
    made = await stage.perform(stage.order(Step.CODING))
    stage.take_in(made)
    reports = await stage.perform(stage.order(Step.QA, head=made.end["data"]["commit"]))
    assert (["sh", "-c", "python3 -m unittest"], "none") in commands(reports)
    kinds = reports.kinds()
    assert kinds.index("command.run") < kinds.index("test.run")


@pytest.mark.parametrize(("allowed", "net"), [((), "gateway"), (("packages.test:443",), "allowed")])
async def test_a_record_says_what_a_command_can_reach(stage: Stage, allowed: tuple[str, ...], net: str) -> None:
    steps = [Model(tools=(Tool("run", {"command": "touch ran"}),)), Model(text="Done.")]
    async with ModelServer(Script(steps)) as server:
        table = replace(stage.settings.sandbox, network_allow=allowed)
        ollama = {"ollama": ProviderTable(base_url=server.url, api_key=REAL_KEY)}
        stage.site = Site(replace(stage.settings, sandbox=table, providers=ollama), stage.site.slot)
        reports = await stage.perform(stage.order(Step.CODING, model="ollama:qwen3:14b"))
    assert (["/bin/sh", "-c", "touch ran"], net) in commands(reports), reports.end


@pytest.fixture
async def recorder(redis_url: str, tmp_path: Path) -> AsyncIterator[Recorder]:
    client = Redis.from_url(redis_url)
    await client.set(NAMES.current, "3")
    await client.set(NAMES.claim, "mine")
    recorder = Recorder(client, NAMES, Blobs(tmp_path / "blobs"), "mine")
    yield recorder
    await recorder.close()
    await client.aclose()


@pytest.fixture
def own() -> Iterator[OpenJail]:
    """No jail, over a tree that anybody can get to: pytest's own folders are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="gw-"))
    folder.chmod(0o755)
    (folder / "tree").mkdir()
    (folder / "tree").chmod(0o777)
    yield OpenJail(Sandbox(user=90_000 + secrets.randbelow(9_000)), folder / "tree", directory=folder / "jail")
    shutil.rmtree(folder)


async def test_without_a_jail_it_says_so_and_every_face_is_the_jails_own(recorder: Recorder, own: OpenJail) -> None:
    jail: Jail = Recorded(own, Commands(recorder, iter(range(1, 9)).__next__, lambda raw: redact(raw)[0]), reach(
        own, has_door=False, has_way_out=False
    ))  # fmt: skip
    ended = await jail.run(["sh", "-c", "pwd"], timeout=20)
    assert ended.output.strip() == str(jail.worktree) == jail.inside
    assert (jail.gateway_url, jail.outside, jail.confined, jail.passed) == (own.gateway_url, own.outside, False, "")
    wrapper = await asyncio.to_thread(jail.wrapper, ["sh", "-c", "exit 3"], env={})  # as one that unpacks first
    process = await asyncio.create_subprocess_exec(str(wrapper))
    assert await process.wait() == 3
    await recorder.flush()
    entries = await recorder._redis.xrange(NAMES.stream)
    records = [json.loads(fields[b"r"]) for _, fields in entries]
    assert [(one["data"]["call"], one["data"]["net"]) for one in records] == [(1, "open"), (2, "open")]
    await own.close()


async def test_what_cannot_be_recorded_does_not_start(recorder: Recorder, own: OpenJail) -> None:
    jail = Recorded(own, Commands(recorder, iter(range(1, 9)).__next__, bytes), "open")
    await recorder.end({"step": "coding"}, outcome="ok")
    with pytest.raises(ValueError, match=r"after attempt\.ended"):
        await jail.run(["touch", "ran"], timeout=20)
    with pytest.raises(ValueError, match=r"after attempt\.ended"):
        await asyncio.to_thread(jail.wrapper, ["touch", "ran"], env={})
    assert not (own.worktree / "ran").exists()
    await own.close()
