"""The worker as a real process: RQ, fork, recorded answers in a real jail, and what is left when it is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rq import Queue
from rq.job import JobStatus
from rq.serializers import DefaultSerializer, JSONSerializer

from bot.model.errors import Refused, UsageError
from bot.model.state import Step
from bot.settings import Redis, Sandbox, Settings
from runners.names import Names
from runners.worker import FUNCTION, STEERING, AttemptJob, work
from tests.runners.stage import SPEC, TASK, Stage, text
from tests.runners.test_process import gone

PROGRAM = """
import sys, msgspec
from bot.settings import Settings
from runners.worker import work
work(msgspec.json.decode(sys.stdin.read(), type=Settings), ["default"], burst="--burst" in sys.argv)
"""
SECONDS = str(900_000 + os.getpid())  # names the agents of this very test run
SLEEP = [
    {"calls": [{"tool": "run", "arguments": {"command": f"echo '# begun' >> calc.py; sleep {SECONDS}"}}]},
    {"text": "never"},
]


@contextmanager
def worker(stage: Stage, *flags: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-P", "-c", PROGRAM, *flags], stdin=subprocess.PIPE, text=True)
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(stage.settings).decode())
    process.stdin.close()
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def enqueue(stage: Stage, names: Names, **more: Any) -> Any:
    queue = Queue("default", connection=stage.redis, serializer=JSONSerializer)
    options = {"timeout": 120, "job_id": f"{names.task}-{names.attempt}", "unique": True}
    return queue.enqueue_call(func=FUNCTION, args=[names.task, names.attempt], **(options | more))


def until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def asleep() -> list[int]:
    """The agent's commands that still run, anywhere on this machine."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if f"sleep\0{SECONDS}\0".encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def test_a_job_runs_in_a_work_horse_and_its_reports_are_complete(stage: Stage) -> None:
    stage.record(spec=[text(SPEC)])
    names = stage.give(stage.order(Step.SPEC))
    job = enqueue(stage, names)
    with worker(stage, "--burst") as process:
        assert process.wait(30) == 0
    assert job.get_status() is JobStatus.FINISHED
    reports = stage.reports(names)
    assert reports.end["outcome"] == "ok"
    assert reports.kinds() == ["gate", "model.call", "model.result", "spec.set", "attempt.ended"]
    assert stage.redis.exists(names.alive)


def test_a_job_that_rq_starts_twice_is_done_once(stage: Stage) -> None:
    stage.record(spec=[text(SPEC)])
    names = stage.give(stage.order(Step.SPEC))
    enqueue(stage, names)
    enqueue(stage, names, job_id="again", unique=False)
    with worker(stage, "--burst") as process:
        assert process.wait(30) == 0
    assert stage.reports(names).kinds().count("spec.set") == 1
    assert stage.reports(names).kinds().count("attempt.ended") == 1


def test_a_killed_worker_leaves_no_agent_behind(stage: Stage) -> None:
    stage.record(coding=[SLEEP])
    names = stage.give(stage.order(Step.CODING))
    enqueue(stage, names)
    with worker(stage) as process:
        before = until(asleep)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert all(gone(pid) for pid in before)
    assert "attempt.ended" not in stage.reports(names).kinds()


def test_a_worker_that_is_told_to_end_pushes_what_there_is_and_says_so(stage: Stage) -> None:
    stage.record(coding=[SLEEP])
    names = stage.give(stage.order(Step.CODING))
    enqueue(stage, names)
    with worker(stage) as process:
        until(asleep)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    reports = stage.reports(names)
    assert (reports.end["outcome"], reports.end["data"]["code"]) == ("cancelled", "GW-ATTEMPT-LOST")
    assert reports.end["data"]["commit"] == stage.branch()
    assert [entry["outcome"] for entry in reports.of("tool.result")] == ["cancelled"]
    assert asleep() == []


def test_controls_stop_ends_the_agent_within_seconds(stage: Stage) -> None:
    stage.record(coding=[SLEEP])
    names = stage.give(stage.order(Step.CODING))
    enqueue(stage, names)
    with worker(stage):
        until(asleep)
        stage.redis.set(names.stop, "1")
        until(lambda: not asleep(), 5.0)
        until(lambda: "attempt.ended" in stage.reports(names).kinds())
    assert stage.reports(names).end["data"]["code"] == "GW-ATTEMPT-STOPPED"


def test_cancel_ends_a_whole_tree_of_unwilling_processes_within_five_seconds(stage: Stage) -> None:
    """A promise of the product, so it is measured on the wall."""
    stubborn = (
        f"trap '' TERM INT HUP QUIT; setsid sleep {SECONDS} & nohup sleep {SECONDS} >/dev/null 2>&1 & "
        f"(trap '' TERM; sleep {SECONDS} & sleep {SECONDS}) & sleep {SECONDS}; sleep {SECONDS}"
    )
    stage.record(coding=[[{"calls": [{"tool": "run", "arguments": {"command": stubborn}}]}, {"text": "never"}]])
    names = stage.give(stage.order(Step.CODING))
    enqueue(stage, names)
    with worker(stage):
        until(lambda: len(asleep()) >= 5)
        begun = time.monotonic()
        stage.redis.set(names.stop, "1")
        until(lambda: not asleep(), 5.0)
        assert time.monotonic() - begun <= 5.0
        until(lambda: "attempt.ended" in stage.reports(names).kinds())
        assert asleep() == []
    assert stage.reports(names).end["outcome"] == "cancelled"


def test_a_superseded_attempt_dies_and_writes_and_pushes_nothing(stage: Stage) -> None:
    stage.record(coding=[SLEEP])
    names = stage.give(stage.order(Step.CODING))
    job = enqueue(stage, names)
    with worker(stage):
        until(asleep)
        stage.redis.set(names.current, "2")
        written = len(stage.reports(names).entries)
        until(lambda: not asleep(), 5.0)
        until(lambda: job.get_status() is JobStatus.FINISHED)
    assert len(stage.reports(names).entries) == written
    assert not (stage.origin / "refs" / "heads" / "gatewright").exists()


def test_a_forged_order_is_not_carried_out(stage: Stage) -> None:
    stage.record(spec=[text(SPEC)])
    order = stage.order(Step.SPEC)
    names = stage.give(order)
    raw = stage.redis.get(names.order)
    assert isinstance(raw, bytes)
    stage.redis.set(names.order, raw.replace(b'"turns":20', b'"turns":21'))
    enqueue(stage, names)
    with worker(stage, "--burst") as process:
        assert process.wait(30) == 0
    assert stage.reports(names).entries == []


@pytest.mark.parametrize(
    ("func", "args"),
    [
        ("os.system", ["touch {}"]),
        (FUNCTION, [TASK]),
        (FUNCTION, [TASK, True]),
        (FUNCTION, ["../x", 1]),
        (FUNCTION, [TASK, 0]),
    ],
)
def test_any_other_call_is_refused_and_the_worker_goes_on(stage: Stage, func: str, args: list[Any]) -> None:
    mark = stage.folder / "called"
    queue = Queue("default", connection=stage.redis, serializer=JSONSerializer)
    args = [arg.format(mark) if isinstance(arg, str) else arg for arg in args]
    job = queue.enqueue_call(func=func, args=args, timeout=60)
    stage.record(spec=[text(SPEC)])
    names = stage.give(stage.order(Step.SPEC))
    enqueue(stage, names)
    with worker(stage, "--burst") as process:
        assert process.wait(30) == 0
    assert not mark.exists()
    assert job.get_status() is JobStatus.FAILED
    assert stage.reports(names).end["outcome"] == "ok"


@pytest.mark.parametrize("field", ["success_callback_name", "failure_callback_name", "stopped_callback_name"])
def test_a_job_cannot_name_other_code_as_its_callback(stage: Stage, field: str) -> None:
    names = Names(TASK, 1)
    job = enqueue(stage, names)
    stage.redis.hset(job.key, field, "os.getcwd")
    fetched = AttemptJob.fetch(job.id, connection=stage.redis, serializer=JSONSerializer)
    assert (fetched.success_callback, fetched.failure_callback, fetched.stopped_callback) == (None, None, None)
    with pytest.raises(Refused, match="refused") as refused:
        fetched.call()
    assert field in refused.value.why


def test_a_job_cannot_ask_to_be_run_again_or_to_call_a_host(stage: Stage) -> None:
    job = enqueue(stage, Names(TASK, 1))
    stage.redis.hset(job.key, mapping={"retries_left": 3, "webhooks": json.dumps([{"url": "http://x"}])})
    fetched = AttemptJob.fetch(job.id, connection=stage.redis, serializer=JSONSerializer)
    assert fetched.retries_left is None
    with pytest.raises(Refused):
        fetched.call()


def test_a_pickled_job_is_never_unpickled(stage: Stage) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(stage.folder / "exploded"),)

    job = enqueue(stage, Names(TASK, 1))
    stage.redis.hset(job.key, "data", DefaultSerializer.dumps((FUNCTION, None, [Bomb(), 1], {})))
    fetched = AttemptJob.fetch(job.id, connection=stage.redis, serializer=JSONSerializer)
    with pytest.raises(Refused):
        fetched.call()
    assert not (stage.folder / "exploded").exists()


@pytest.mark.parametrize("timeout", ["-1", "999999"])
def test_a_job_without_a_usable_time_out_is_refused(stage: Stage, timeout: str) -> None:
    job = enqueue(stage, Names(TASK, 1))
    stage.redis.hset(job.key, "timeout", timeout)
    with pytest.raises(Refused):
        AttemptJob.fetch(job.id, connection=stage.redis, serializer=JSONSerializer).call()


def test_every_field_by_which_rq_reads_other_code_is_known() -> None:
    import inspect

    from rq.job import Job

    source = inspect.getsource(Job.restore)
    named = {name.decode() for name in STEERING}
    for field in ("callback_name", "webhooks", "retries_left", "repeats_left", "dependency_id"):
        assert field in source, f"RQ no longer reads {field}: look again"
        assert any(field in name for name in named)


def test_a_worker_alone_needs_an_address_for_redis() -> None:
    with pytest.raises(UsageError, match="GW-WORKER-REDIS"):
        work(Settings(), ["default"])


def test_a_worker_does_not_start_with_a_host_that_no_task_could_be_given(redis_url: str) -> None:
    table = Sandbox(setup_allow=("https://pypi.org/simple",))
    with pytest.raises(UsageError, match="GW-EGRESS-RULE") as refused:
        work(Settings(redis=Redis(url=redis_url), sandbox=table), ["default"], burst=True)
    assert "sandbox.setup_allow: 'https://pypi.org/simple'" in refused.value.what
    assert 'write "pypi.org"' in refused.value.fix


def test_a_worker_says_at_its_start_that_no_jail_starts(stage: Stage) -> None:
    table = msgspec.structs.replace(stage.settings.sandbox, rootfs="/nothing/there")
    settings = msgspec.json.encode(msgspec.structs.replace(stage.settings, sandbox=table))
    argv = [sys.executable, "-P", "-c", PROGRAM, "--burst"]
    ended = subprocess.run(argv, input=settings.decode(), capture_output=True, text=True, timeout=30, check=True)
    (line,) = [line for line in (ended.stdout + ended.stderr).splitlines() if "sandbox.unfit" in line]
    assert json.loads(line)["gatewright.code"] == "GW-SANDBOX-ROOTFS"
    assert "/nothing/there" in line
