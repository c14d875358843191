"""The one contract of all providers. A new provider writes a case and inherits: nothing here may be left out.

    class TestMine(WireContract):
        case = MyCase()

ProviderContract holds for everything that is a provider; WireContract adds what holds where a model is asked over the
gateway (all but recorded answers).
"""

from __future__ import annotations

import asyncio
import functools
import os
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pytest

from bot.model.allowance import Allowance
from bot.model.task import Usage
from runners.providers.errors import ProviderError
from runners.providers.protocol import Access, Cause, Provider
from runners.workspace.sandbox import probe
from tests.conftest import missing
from tests.runners.providers.bad_models import BadModels
from tests.runners.providers.stage import QUICK, Stage, open_stage
from tests.simulators.models import Step, Tool
from tests.simulators.models.script import Maker
from tests.simulators.models.server import REAL_KEY

SCHEMA = {
    "type": "object",
    "properties": {"passed": {"type": "boolean"}, "notes": {"type": "array", "items": {"type": "string"}}},
    "required": ["passed", "notes"],
    "additionalProperties": False,
}
PARENT_SECRET = "parent-secret-5f2c"  # in the environment of the worker


class ProviderCase(Protocol):
    """What the contract has to know about a provider."""

    dialect: str  # the wire its model is asked over: "anthropic" or "openai"
    model: str

    def missing(self) -> str | None:
        """Name what this machine lacks, None where the provider can run."""

    def provider(self, steps: Sequence[Step | Maker], folder: Path) -> Provider:
        """Make the provider; one that plays recordings writes `steps` into `folder`, the others leave both alone."""

    def write(self, path: str, content: str) -> Tool:
        """The model's call that writes a file; `path` is relative to the worktree."""

    def command(self, line: str) -> Tool:
        """The model's call that runs a shell command."""

    def answer(self, value: Any) -> Step:
        """The model's structured answer."""


@functools.cache
def unconfined() -> str | None:
    """Name why nothing can be confined on this machine, None where it can."""
    return probe()


def processes(mark: str) -> list[str]:
    """List the command lines on this machine that hold a mark."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue  # gone meanwhile
            if mark.encode() in line:
                found.append(line.replace(b"\0", b" ").decode(errors="replace"))
    return found


async def assert_gone(mark: str) -> None:
    """Fail where a process with a mark is still there after two seconds."""
    deadline = time.monotonic() + 2
    while left := processes(mark):
        assert time.monotonic() < deadline, left
        await asyncio.sleep(0.02)


class ProviderContract:
    """What every provider does."""

    case: ProviderCase

    @pytest.fixture(autouse=True)
    def _runnable(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GATEWRIGHT_PARENT_SECRET", PARENT_SECRET)
        self.folder = tmp_path
        if lacks := self.case.missing() or unconfined():
            missing(lacks)

    def stage(self, *steps: Step | Maker, allowances: tuple[Allowance, ...] = ()) -> AbstractAsyncContextManager[Stage]:
        """Open a stage on which the model plays these steps."""
        provider = self.case.provider(steps, self.folder)
        return open_stage(provider, self.case.dialect, self.case.model, steps, allowances)

    async def test_a_text_answer_comes_back(self) -> None:
        async with self.stage(Step(text="all is well")) as stage:
            result = await stage.run(access=Access.READ)
        assert result.text.strip() == "all is well"
        assert result.answer is None

    async def test_a_file_is_edited_through_tools(self) -> None:
        steps = Step(tools=(self.case.write("calc.py", "def add(a, b):\n    return a + b\n"),)), Step(text="done")
        async with self.stage(*steps) as stage:
            await stage.run()
            assert "a + b" in (stage.worktree / "calc.py").read_text()
        [call], [result] = stage.recorder.of("tool.call"), stage.recorder.of("tool.result")
        assert call.data.tool
        assert b"a + b" in call.blobs["args"]
        assert result.outcome == "ok"

    async def test_a_command_runs_and_its_end_is_recorded(self) -> None:
        steps = (
            Step(tools=(self.case.command("echo out; echo made > made.txt"),)),
            Step(tools=(self.case.command("echo wrong; exit 3"),)),
            Step(text="done"),
        )
        async with self.stage(*steps) as stage:
            await stage.run()
            assert (stage.worktree / "made.txt").read_text() == "made\n"
        first, second = stage.recorder.of("tool.result")
        assert (first.outcome, first.data.exit) == ("ok", 0)
        assert (second.outcome, second.data.exit) == ("fail", 3)
        assert b"out" in first.blobs["out"]
        assert b"wrong" in second.blobs["out"]

    async def test_a_structured_answer_is_held_against_its_schema(self) -> None:
        wrong, right = {"passed": "perhaps", "notes": []}, {"passed": True, "notes": ["n"]}
        async with self.stage(self.case.answer(wrong), self.case.answer(right)) as stage:
            result = await stage.run(schema=SCHEMA, access=Access.READ)
        assert result.answer == right

    async def test_what_may_only_read_changes_nothing(self) -> None:
        steps = (
            Step(tools=(self.case.write("calc.py", "gone\n"),)),
            Step(tools=(self.case.command("echo gone > calc.py; touch new.txt"),)),
            Step(text="done"),
        )
        async with self.stage(*steps) as stage:
            await stage.run(access=Access.READ)
            assert "return a - b" in (stage.worktree / "calc.py").read_text()
            assert sorted(path.name for path in stage.worktree.iterdir()) == ["calc.py"]

    async def test_every_call_has_one_result(self) -> None:
        steps = (
            Step(tools=(self.case.command("true"), self.case.write("a.txt", "a"), self.case.command("false"))),
            Step(tools=(Tool("no_such_tool", {"x": 1}),)),
            Step(tools=(Tool(self.case.command("true").name, {}),)),
            Step(text="done"),
        )
        async with self.stage(*steps) as stage:
            await stage.run()
        assert stage.recorder.unpaired() == []
        assert len(stage.recorder.of("tool.call")) >= 3

    async def test_a_cancelled_run_leaves_no_process_and_no_open_call(self) -> None:
        mark = f"mark-{os.getpid()}-{time.monotonic_ns()}"
        sleep = f"python3 -c 'import time; time.sleep(300)' {mark}"
        line = f"(setsid {sleep} &) ; touch started; {sleep}"
        async with self.stage(Step(tools=(self.case.command(line),)), Step(text="done")) as stage:
            running = asyncio.ensure_future(stage.run())
            await stage.until_exists("started")
            since = time.monotonic()
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            assert time.monotonic() - since < 3
            await assert_gone(mark)
        assert stage.recorder.unpaired() == []

    async def test_a_run_over_its_time_ends_and_says_so(self) -> None:
        mark = f"mark-{os.getpid()}-{time.monotonic_ns()}"
        line = f"python3 -c 'import time; time.sleep(300)' {mark}"
        async with self.stage(Step(tools=(self.case.command(line),)), Step(text="done")) as stage:
            since = time.monotonic()
            with pytest.raises(ProviderError) as caught:
                await stage.run(limits=msgspec.structs.replace(QUICK, wall_seconds=5))
            assert time.monotonic() - since < 9
            await assert_gone(mark)
        assert caught.value.cause is Cause.TIMEOUT
        assert caught.value.fix
        assert stage.recorder.unpaired() == []

    async def test_no_key_and_no_secret_of_the_worker_can_be_seen_in_the_jail(self) -> None:
        look = (
            "(env; cat /proc/*/environ /proc/*/cmdline; cat /proc/self/mountinfo; "
            "grep -r . /run /opt/gw /etc /home /tmp --exclude-dir=ssl -a) > seen.txt 2>/dev/null; wc -c seen.txt"
        )
        async with self.stage(Step(tools=(self.case.command(look),)), Step(text="done")) as stage:
            await stage.run()
            seen = (stage.worktree / "seen.txt").read_bytes()
        assert b"HOME=/home/agent" in seen  # the look itself worked
        assert REAL_KEY.encode() not in seen
        assert PARENT_SECRET.encode() not in seen


class WireContract(BadModels, ProviderContract):
    """What every provider does whose model is asked over the gateway."""

    async def test_the_key_is_put_in_by_the_gateway_alone(self) -> None:
        async with self.stage(Step(text="done")) as stage:
            await stage.run()
        assert stage.model.requests
        assert not stage.model.refused
        sent = b"".join(record.blobs.get("prompt", b"") for record in stage.recorder.of("model.call"))
        assert REAL_KEY.encode() not in sent

    async def test_usage_is_counted_on_the_wire(self) -> None:
        steps = Step(tools=(self.case.command("true"),), tokens=(1000, 30)), Step(text="done", tokens=(1100, 7))
        async with self.stage(*steps) as stage:
            result = await stage.run()
            again = Step(text="more", tokens=(10, 1))
            stage.model.script.extend([again])
            assert (await stage.run()).usage == Usage(1, 10, 1, None)  # a second run does not count the first again
        assert result.usage == Usage(2, 2100, 37, None)
        assert [record.data.tokens_out for record in stage.recorder.of("model.result")] == [30, 7, 1]

    @pytest.mark.parametrize(
        ("status", "cause"), [(401, Cause.AUTH), (404, Cause.MODEL), (429, Cause.RATE), (500, Cause.CRASH)]
    )
    async def test_an_error_of_the_api_is_named_and_says_what_to_do(self, status: int, cause: Cause) -> None:
        headers = {"retry-after": "0"}
        async with self.stage(Step(status=status, repeat=0, headers=headers)) as stage:
            with pytest.raises(ProviderError) as caught:
                await stage.run()
        assert caught.value.cause is cause
        assert caught.value.code == f"GW-MODEL-{cause.name}"
        assert caught.value.fix
        assert {record.outcome for record in stage.recorder.of("model.result")} == {"fail"}
        assert stage.recorder.unpaired() == []

    async def test_a_full_quota_is_not_a_rate(self) -> None:
        text = "Your credit balance is too low: insufficient_quota, check your plan and billing"
        error = {"type": "insufficient_quota", "code": "insufficient_quota", "message": text}
        body = {"type": "error", "error": error}
        async with self.stage(Step(status=429, repeat=0, body=body, headers={"retry-after": "0"})) as stage:
            with pytest.raises(ProviderError) as caught:
                await stage.run()
        assert caught.value.cause is Cause.QUOTA

    async def test_a_rate_limit_that_passes_is_waited_out(self) -> None:
        limited = Step(status=429, headers={"retry-after": "0"})
        async with self.stage(limited, Step(text="done")) as stage:
            assert (await stage.run()).text.strip() == "done"
        assert [record.outcome for record in stage.recorder.of("model.result")] == ["fail", "ok"]

    async def test_a_cut_stream_is_never_a_success(self) -> None:
        async with self.stage(Step(text="half of the answer, then nothing " * 5, cut=True, repeat=0)) as stage:
            with pytest.raises(ProviderError) as caught:
                await stage.run()
        assert caught.value.cause is Cause.CRASH
        assert "ok" not in {record.outcome for record in stage.recorder.of("model.result")}
        assert stage.recorder.unpaired() == []

    async def test_a_stream_cut_once_is_asked_again(self) -> None:
        async with self.stage(Step(text="half of the answer " * 5, cut=True), Step(text="whole")) as stage:
            assert (await stage.run()).text.strip() == "whole"
        assert stage.recorder.unpaired() == []

    @pytest.mark.parametrize("hang", ["before", "mid"])
    async def test_a_silent_model_ends_in_a_timeout(self, hang: Any) -> None:
        async with self.stage(Step(text="a word or two " * 9, hang=hang, repeat=0)) as stage:
            since = time.monotonic()
            with pytest.raises(ProviderError) as caught:
                await stage.run(limits=msgspec.structs.replace(QUICK, idle_seconds=3))
            assert time.monotonic() - since < 9
        assert caught.value.cause is Cause.TIMEOUT
        assert "ok" not in {record.outcome for record in stage.recorder.of("model.result")}
        assert stage.recorder.unpaired() == []

    async def test_a_model_that_never_gives_the_form_asked_for_has_no_answer(self) -> None:
        async with self.stage(Step(text="I would rather talk about it.", repeat=0)) as stage:
            with pytest.raises(ProviderError) as caught:
                await stage.run(schema=SCHEMA, access=Access.READ)
        assert caught.value.cause is Cause.ANSWER

    async def test_a_model_that_never_ends_is_stopped_by_its_turns(self) -> None:
        line = lambda body: Step(tools=(self.case.command(f"echo {len(str(body))}"),))
        async with self.stage(*[line] * 20) as stage:
            with pytest.raises(ProviderError) as caught:
                await stage.run(limits=msgspec.structs.replace(QUICK, turns=4))
        assert caught.value.cause is Cause.BUDGET
        assert stage.recorder.unpaired() == []
        assert len(stage.recorder.of("model.call")) <= 5

    async def test_a_long_output_is_bounded(self) -> None:
        flood = Step(tools=(self.case.command("head -c 30000000 /dev/zero | tr '\\0' x"),))
        async with self.stage(flood, Step(text="done")) as stage:
            await stage.run()
        [result] = stage.recorder.of("tool.result")
        assert len(result.blobs["out"]) <= QUICK.output_bytes
        assert len(str(stage.model.requests[-1].body)) < 300_000
