from __future__ import annotations

import json
import zlib
from collections.abc import Iterator

import pytest
from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from bot.tasks.queue import FUNCTION, GRACE_S, KEEP_S, Jobs

TASK = "42-k7f3qd"


@pytest.fixture
def blocking(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client


def job(client: Redis, attempt: int = 1) -> Job:
    return Job.fetch(f"{TASK}-{attempt}", connection=client, serializer=JSONSerializer)


async def test_an_attempt_is_one_job_by_name_with_json_and_limits_of_its_own(blocking: Redis):
    assert await Jobs(blocking).ensure(TASK, 1, 1_800.0)
    queued = job(blocking)
    assert (queued.func_name, queued.args, queued.kwargs) == (FUNCTION, [TASK, 1], {})
    assert (queued.timeout, queued.result_ttl, queued.failure_ttl) == (1_800 + GRACE_S, KEEP_S, KEEP_S)
    assert queued.retries_left is None
    assert json.loads(zlib.decompress(blocking.hget(f"rq:job:{TASK}-1", "data"))) == [FUNCTION, None, [TASK, 1], {}]


async def test_a_job_that_is_there_is_not_queued_again(blocking: Redis):
    jobs = Jobs(blocking)
    assert await jobs.ensure(TASK, 1, 60.0)
    assert not await jobs.ensure(TASK, 1, 60.0)
    assert await jobs.ensure(TASK, 2, 60.0)
    assert Queue("default", connection=blocking).job_ids == [f"{TASK}-1", f"{TASK}-2"]


async def test_a_queue_has_the_name_that_the_settings_give(blocking: Redis):
    await Jobs(blocking, "large").ensure(TASK, 1, 60.0)
    assert Queue("large", connection=blocking).job_ids == [f"{TASK}-1"]


async def test_a_teams_queue_is_served_by_its_own_workers_alone(blocking: Redis):
    jobs = Jobs(blocking)
    assert await jobs.ensure(TASK, 1, 60.0, "runner.secure-zone")
    assert not await jobs.ensure(TASK, 1, 60.0), "an attempt is one job, in whatever queue it waits"
    assert not await jobs.ensure(TASK, 1, 60.0, "elsewhere")
    assert await jobs.status(TASK, 1) == "waiting"
    common = SimpleWorker(["default", "elsewhere"], connection=blocking, serializer=JSONSerializer)
    common.work(burst=True, logging_level="CRITICAL")
    assert await jobs.status(TASK, 1) == "waiting"
    queued = job(blocking)
    queued.func_name = "builtins.max"
    queued.save()
    secure = SimpleWorker(["runner.secure-zone"], connection=blocking, serializer=JSONSerializer)
    secure.work(burst=True, logging_level="CRITICAL")
    assert await jobs.status(TASK, 1) == "ended"


async def test_a_job_is_waiting_then_started_then_ended(blocking: Redis):
    jobs = Jobs(blocking)
    assert await jobs.status(TASK, 1) == "ended"  # nobody ever queued it
    await jobs.ensure(TASK, 1, 60.0)
    assert await jobs.status(TASK, 1) == "waiting"
    job(blocking).set_status(JobStatus.STARTED)
    assert await jobs.status(TASK, 1) == "started"


async def test_a_job_that_a_worker_could_not_run_has_ended(blocking: Redis):
    jobs = Jobs(blocking)
    await jobs.ensure(TASK, 1, 60.0)
    queued = job(blocking)
    queued.func_name = "builtins.no_such_function"
    queued.save()
    worker = SimpleWorker(["default"], connection=blocking, serializer=JSONSerializer)
    worker.work(burst=True, logging_level="CRITICAL")
    assert job(blocking).get_status() is JobStatus.FAILED
    assert await jobs.status(TASK, 1) == "ended"
    assert not await jobs.ensure(TASK, 1, 60.0), "an attempt is one job for ever; another attempt gets another"
