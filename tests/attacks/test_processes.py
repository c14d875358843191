"""Outliving one's run: unwilling processes against every way in which an attempt, a worker or a jail can end.

Workers are real: RQ, its fork, a real jail, recorded answers. The promise is that nothing is left after a second.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bot import settings
from bot.model.allowance import Allowance
from bot.model.state import Step
from bot.settings import ProviderTable
from runners.process import processes_of
from runners.providers.tree import stat
from runners.workspace import probe
from runners.workspace.disk import descendants
from runners.workspace.process import marked
from tests.conftest import missing
from tests.runners.conftest import embedded_redis, redis_url, stage
from tests.runners.providers.cases import CASES
from tests.runners.stage import Stage
from tests.runners.test_worker import SECONDS, asleep, enqueue, until, worker
from tests.runners.workspace.kit import OWNER, launched
from tests.simulators.models import ModelServer, Script
from tests.simulators.models.script import Step as Model
from tests.simulators.models.server import REAL_KEY

__all__ = ["embedded_redis", "redis_url", "stage"]

PROMISE = 1.0  # seconds
HIDE = {
    "setsid": f"setsid sleep {SECONDS} &",
    "nohup": f"nohup sleep {SECONDS} >/dev/null 2>&1 &",
    "double fork": f"(setsid bash -c 'setsid sleep {SECONDS} & disown' &)",
    "deaf": f"(trap '' TERM HUP INT QUIT; setsid sleep {SECONDS} &)",
}
STUBBORN = "\n".join(["trap '' TERM INT HUP QUIT", *HIDE.values(), f"sleep {SECONDS}; sleep {SECONDS}"])
AGENT = [{"calls": [{"tool": "run", "arguments": {"command": STUBBORN}}]}, {"text": "never"}]


def promised() -> float:
    """A second where there is a processor to be had, more where others wait for it as well."""
    return PROMISE * max(1.0, os.getloadavg()[0] / len(os.sched_getaffinity(0)))


def mounts() -> str:
    return Path("/proc/self/mountinfo").read_text()


def living(pids: set[int]) -> list[int]:
    """Those that are not dead; whether the machine's first process has buried the others is not ours to say."""
    return [pid for pid in pids if (found := stat(pid)) is not None and found[0] not in "ZX"]


def horse(pid: int) -> int:
    (found,) = (int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return found


def twice(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    time.sleep(1.2)  # what comes within a second of the first counts as the same
    process.send_signal(signal.SIGTERM)


ENDS: dict[str, Callable[[subprocess.Popen[str]], object]] = {
    "worker SIGTERM": lambda process: process.send_signal(signal.SIGTERM),
    "worker SIGTERM twice": twice,
    "worker SIGKILL": lambda process: process.send_signal(signal.SIGKILL),
    "work-horse SIGKILL": lambda process: os.kill(horse(process.pid), signal.SIGKILL),
    "work-horse SIGTERM": lambda process: os.kill(horse(process.pid), signal.SIGTERM),
}


class TestAttempts:
    @pytest.mark.parametrize("way", ENDS)
    def test_however_a_worker_ends_the_agent_leaves_nothing(self, way: str, stage: Stage) -> None:
        stage.record(coding=[AGENT])
        names = stage.give(stage.order(Step.CODING))
        enqueue(stage, names)
        before = mounts()
        with worker(stage) as process:
            until(lambda: len(asleep()) >= len(HIDE))
            jailed = descendants(horse(process.pid))
            ENDS[way](process)
            until(lambda: not asleep(), promised())
            until(lambda: not living(jailed), promised())
        assert mounts() == before

    def test_controls_stop_key_ends_all_of_it(self, stage: Stage) -> None:
        stage.record(coding=[AGENT])
        names = stage.give(stage.order(Step.CODING))
        enqueue(stage, names)
        with worker(stage):
            until(lambda: len(asleep()) >= len(HIDE))
            stage.redis.set(names.stop, "1")
            until(lambda: not asleep(), promised())
            until(lambda: "attempt.ended" in stage.reports(names).kinds())
        assert stage.reports(names).end["data"]["code"] == "GW-ATTEMPT-STOPPED"

    def test_an_attempt_that_is_out_of_time_ends_all_of_it(self, stage: Stage) -> None:
        stage.record(coding=[AGENT])
        order = msgspec.structs.replace(stage.order(Step.CODING), wall_seconds=3.0)
        names = stage.give(order)
        enqueue(stage, names)
        with worker(stage):
            until(lambda: len(asleep()) >= len(HIDE))
            until(lambda: not asleep(), 3.0 + promised())
            until(lambda: "attempt.ended" in stage.reports(names).kinds())
        assert stage.reports(names).end["outcome"] != "ok"

    def test_an_attempt_whose_minutes_are_used_up_ends_all_of_it(self, stage: Stage) -> None:
        stage.record(coding=[AGENT])
        order = msgspec.structs.replace(stage.order(Step.CODING), wall_seconds=3.0, wall_scope="task")
        names = stage.give(order)
        enqueue(stage, names)
        with worker(stage) as process:
            until(lambda: len(asleep()) >= len(HIDE))
            jailed = descendants(horse(process.pid))
            until(lambda: not asleep(), 3.0 + promised())
            until(lambda: not living(jailed), promised())
            until(lambda: "attempt.ended" in stage.reports(names).kinds())
        assert stage.reports(names).end["data"]["code"] == "GW-BUDGET-TASK"

    async def test_an_attempt_whose_calls_are_used_up_ends_a_runtime_and_all_of_it(self, stage: Stage) -> None:
        """A genuine runtime goes on with its processes beside it, asks once more, and is refused."""
        case = CASES["codex"]
        if lacks := case.missing():
            missing(lacks)
        hide = "; ".join(line.removesuffix("&").rstrip() + " & true" for line in HIDE.values())
        steps = [Model(tools=(case.command(f"{hide}; sleep 1; touch begun"),)), Model(text="never", repeat=0)]
        async with ModelServer(Script(steps)) as server:
            codex = {"codex": ProviderTable(base_url=f"{server.url}/v1", api_key=REAL_KEY)}
            stage.settings = msgspec.structs.replace(stage.settings, providers=codex)
            order = stage.order(Step.CODING, model=case.model, allowances=(Allowance(scope="task", calls=1),))
            names = stage.give(order)
            enqueue(stage, names)
            with worker(stage) as process:
                await asyncio.to_thread(until, lambda: len(asleep()) >= len(HIDE))
                jailed = descendants(horse(process.pid))
                ended = lambda: "attempt.ended" in stage.reports(names).kinds()
                await asyncio.to_thread(until, ended)
                await asyncio.to_thread(until, lambda: not asleep(), promised())
                await asyncio.to_thread(until, lambda: not living(jailed), promised())
        assert stage.reports(names).end["data"]["code"] == "GW-BUDGET-TASK", stage.reports(names).explanation()
        assert len(server.requests) == 1, "the second was refused on this machine"

    def test_the_next_attempt_of_the_slot_finds_nothing_of_the_last(self, stage: Stage) -> None:
        stage.record(coding=[AGENT])
        names = stage.give(stage.order(Step.CODING))
        enqueue(stage, names)
        with worker(stage) as process:
            until(asleep)
            (owner,) = {Path(f"/proc/{pid}").stat().st_uid for pid in asleep()}
            process.kill()
            process.wait()
            if owner:
                until(lambda: not processes_of(owner), promised())
        assert asleep() == []


class TestInside:
    """Blows against what the jail itself is made of."""

    @pytest.mark.parametrize("line", ["kill -9 -1", "kill -9 1", "kill -TERM -1", "kill -STOP 1", "kill -9 0"])
    async def test_signals_to_everybody_reach_nobody_outside(self, line, jail):
        drop = [] if OWNER is None else ["setpriv", "--reuid", str(OWNER), "--clear-groups"]
        bystander = launched(*drop, "sleep", "60")  # of the very user that the jail runs as
        ended = await jail.run(["bash", "-c", f"{HIDE['deaf']}\n{line}; echo $?"], timeout=2)
        assert not ended.timed_out
        assert "syntax error" not in ended.output
        assert marked(jail._mark) == []
        assert asleep() == []
        assert bystander.poll() is None
        bystander.kill()
        bystander.wait()
        assert (await jail.run(["echo", "fine"], timeout=10)).output == "fine\n"

    async def test_killing_the_relay_closes_the_agents_own_door_only(self, make_jail, tree, work):
        heard: list[bytes] = []

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.append(await reader.readline())
            writer.close()

        server = await asyncio.start_unix_server(answer, work / "gw.sock")
        (work / "gw.sock").chmod(0o777)
        jail = make_jail(tree, socket=work / "gw.sock")
        call = "(exec 3<>/dev/tcp/127.0.0.1/8900 && echo hello >&3 && cat <&3) 2>&1"
        ended = await jail.run(["bash", "-c", f"pkill -9 socat; sleep 0.1; {call}"], timeout=10)
        assert "refused" in ended.output
        assert heard == []
        assert (await jail.run(["bash", "-c", call], timeout=10)).exit_code == 0, "the next run has a relay of its own"
        assert heard == [b"hello\n"]
        server.close()
        await server.wait_closed()

    async def test_a_stopped_jail_is_ended_as_any_other(self, jail):
        line = f"{HIDE['deaf']}\nkill -STOP $(pgrep sleep) $$"
        begun = time.monotonic()
        ended = await jail.run(["bash", "-c", line], timeout=0.5)
        assert ended.timed_out
        assert time.monotonic() - begun < 0.5 + promised()
        assert asleep() == []

    async def test_processes_that_are_born_while_they_are_killed_go_with_the_rest(self, make_jail, tree):
        jail = make_jail(tree, settings.Sandbox(processes=128))
        line = "f() { setsid bash -c 'trap \"\" TERM; sleep 0.01' & f & }; while :; do f 2>/dev/null; done"
        begun = time.monotonic()
        ended = await jail.run(["bash", "-c", line], timeout=1)
        assert ended.timed_out
        assert time.monotonic() - begun < 1 + 2 * promised()
        assert marked(jail._mark) == []

    async def test_nothing_is_mounted_on_the_machine(self, jail):
        before = mounts()
        running = asyncio.ensure_future(jail.run(["sleep", "0.5"], timeout=5))
        await asyncio.sleep(0.25)
        assert mounts() == before
        await running


SLOT = """
import sys
from pathlib import Path
from runners.process import take_slot
slot, held = take_slot(int(sys.argv[1]), Path(sys.argv[2]))
print(slot, flush=True)
sys.stdin.read()
"""


class TestSlots:
    """Two workers never share a slot: each sweeps what runs as its slot's user."""

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root makes network namespaces of its own here")
    @pytest.mark.parametrize("apart", [[], ["unshare", "--net"], ["unshare", "--net", "--ipc", "--uts"]])
    def test_a_worker_in_another_network_namespace_takes_another(self, apart, tmp_path):
        user = 66_000 + os.getpid() % 1000
        argv = [*apart, sys.executable, "-P", "-c", SLOT, str(user), str(tmp_path)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen(argv, **pipes) as first, subprocess.Popen(argv, **pipes) as second:
            assert {first.stdout.readline().strip(), second.stdout.readline().strip()} == {"0", "1"}
            first.kill()
            second.kill()

    def test_a_worker_with_a_run_folder_of_its_own_takes_another(self, tmp_path):
        user = 67_000 + os.getpid() % 1000
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        folders = [tmp_path / "a", tmp_path / "b"]
        for folder in folders:
            folder.mkdir()
        start = [sys.executable, "-P", "-c", SLOT, str(user)]
        with subprocess.Popen([*start, str(folders[0])], **pipes) as first:
            assert first.stdout.readline().strip() == "0"
            with subprocess.Popen([*start, str(folders[1])], **pipes) as second:
                assert second.stdout.readline().strip() == "1"
                second.kill()
            first.kill()


@pytest.mark.skipif(OWNER is None, reason="an ordinary worker sweeps nobody")
def test_a_worker_that_sweeps_its_slot_spares_the_try_of_the_jail():
    """Seen once in 85 tries beside a worker: the try ran as the user of slot 0, and was swept away."""
    table = settings.Sandbox(user=68_000 + os.getpid() % 1000 * 10)
    code = "import sys, time\nfrom runners.process import sweep\nwhile True:\n    sweep(int(sys.argv[1]))\n"
    with subprocess.Popen([sys.executable, "-P", "-c", code, str(table.user)]) as sweeper:
        try:
            assert [probe.why_not(table) for _ in range(8)] == [None] * 8
        finally:
            sweeper.kill()
