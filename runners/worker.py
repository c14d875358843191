"""The RQ parent: takes jobs off queues and forks work-horses; it starts no thread and no loop, and parses no key."""

from __future__ import annotations

import gc
import json
import logging
import os
import secrets
import signal
from collections.abc import Mapping, Sequence
from typing import Any, Final

from redis import Redis
from rq import Queue, Worker
from rq.job import Job
from rq.serializers import JSONSerializer

from bot import logs
from bot.known_secrets import known_secrets
from bot.model.errors import Refused, UsageError
from bot.model.task import TASK_ID
from bot.network import go_out
from bot.settings import Settings
from runners import agent, handover, jails, job, leftovers, process
from runners.egress import rules
from runners.site import Site

FUNCTION: Final = "runners.job.run"
LONGEST_JOB: Final = 24 * 3600  # seconds
STEERING: Final = (  # fields by which a job could name other code, other hosts or other runs
    b"success_callback_name", b"failure_callback_name", b"stopped_callback_name", b"webhooks", b"retries_left",
    b"number_of_retries", b"retry_intervals", b"repeats_left", b"repeat_intervals", b"dependency_ids", b"dependency_id",
)  # fmt: skip


class AttemptJob(Job):
    """A job that can be nothing but `runners.job.run(task id, attempt)`: who writes to Redis cannot name other code."""

    refusal = ""

    def restore(self, raw_data: Mapping[bytes, bytes]) -> None:
        """Read the job's hash without the fields that name other code."""
        found = [name.decode() for name in STEERING if raw_data.get(name) not in (None, b"", b"[]")]
        if found:
            self.refusal = f"it carries {', '.join(found)}"
        super().restore({key: value for key, value in raw_data.items() if key not in STEERING})

    def call(self) -> tuple[str, int]:
        """Read the two arguments; Refused for anything but the one function, with a time-out and plain JSON."""
        if self.refusal:
            raise _refused(self.refusal)
        limit: Any = self.timeout
        if not isinstance(limit, int) or not 0 < limit <= LONGEST_JOB:
            raise _refused("it has no usable time-out")
        match _decoded(self.data):
            case [function, None, [str() as task, int() as attempt], {**rest}] if (
                function == FUNCTION and not rest and TASK_ID.match(task) and attempt is not True and attempt > 0
            ):
                return task, attempt
        raise _refused("it does not call the one function with a task and an attempt")

    def _execute(self) -> None:
        job.run(*self.call())


class AttemptWorker(Worker):
    """RQ's worker without its command channel (a thread), with work-horses that die when it does."""

    job_class = AttemptJob
    swept_user = 0

    def subscribe(self) -> None:
        """Take no commands over pub/sub: an attempt is stopped by control's stop key."""

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Clear the slot of what earlier runs left, then fork."""
        process.sweep(self.swept_user)
        super().execute_job(job, queue)

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """Tie the work-horse to this parent before it does anything."""
        process.die_with(self.pid or 0)
        super().main_work_horse(job, queue)

    def handle_warm_shutdown_request(self) -> None:
        """Ask the attempt to end tidily: what it has done is pushed, and another worker goes on from there."""
        if self.horse_pid:
            self.kill_horse(signal.SIGTERM)


def work(settings: Settings, queues: Sequence[str], *, burst: bool = False) -> None:
    """Serve queues until told to stop, or until they are empty where `burst` says so."""
    if settings.redis.url == "embedded":
        raise UsageError(
            "GW-WORKER-REDIS",
            "a worker of its own needs an address for Redis",
            why='redis.url is "embedded", which only `gatewright up` starts',
            fix="set redis.url, or use `gatewright up`",
        )
    rules.check(settings.sandbox)
    logs.structured("worker", secrets=known_secrets(settings))
    go_out(settings)
    _quieten()
    slot, _held = process.take_slot(settings.sandbox.user)
    user = settings.sandbox.user + slot
    process.sweep(user)
    leftovers.clear(Site(settings, slot).work)
    handover.offer(handover.Handover(settings, slot))
    worker = AttemptWorker(
        list(queues),
        # Random, too: a container that was killed comes back under the same host name and pid, and RQ refuses twins.
        name=f"{os.uname().nodename}.{os.getpid()}.{secrets.token_hex(4)}",
        connection=Redis.from_url(settings.redis.url, health_check_interval=30),
        serializer=JSONSerializer,
        log_job_description=False,
    )
    worker.swept_user = user
    worker.log_result_lifespan = False
    agent.preload(settings)
    jails.try_out(settings)
    gc.freeze()  # work-horses share what is there now, and need not look through it
    worker.work(burst=burst, logging_level="WARNING")


def _decoded(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


def _refused(why: str) -> Refused:
    return Refused("GW-WORKER-JOB", "a job was refused", why=why, fix="only control may fill the queue")


def _quieten() -> None:
    for name in ("rq.worker", "rq.job", "rq.queue"):
        logging.getLogger(name).setLevel(logging.WARNING)
