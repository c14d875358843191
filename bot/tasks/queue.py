"""Attempt -> RQ job, by dotted name, so that bot never imports runners; the queue is derived, never the truth."""

from __future__ import annotations

import asyncio
from typing import Final, Literal

from redis import Redis
from rq import Queue
from rq.exceptions import DuplicateJobError, NoSuchJobError
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

FUNCTION: Final = "runners.job.run"
GRACE_S: Final = 300  # RQ's own limit lies beyond the phase's, which ends first and in good order
KEEP_S: Final = 3_600
WAITING: Final = (JobStatus.QUEUED, JobStatus.DEFERRED, JobStatus.SCHEDULED, JobStatus.CREATED)

JobState = Literal["waiting", "started", "ended"]


class Jobs:
    """The queues as control uses them: deterministic ids, JSON, explicit time-outs, no retries."""

    def __init__(self, redis: Redis, queue: str = "default") -> None:
        self._redis = redis
        self._queue = queue

    async def ensure(self, task: str, attempt: int, wall_s: float, queue: str = "") -> bool:
        """Enqueue the job of an attempt unless it is in any queue; tell whether it was missing.

        `queue` is that of the repository's team (bot.tasks.teams.queue_for); empty takes the instance's.
        """
        return await asyncio.to_thread(self._ensure, task, attempt, wall_s, queue or self._queue)

    def _ensure(self, task: str, attempt: int, wall_s: float, queue: str) -> bool:
        job_id = f"{task}-{attempt}"
        try:
            Queue(queue, connection=self._redis, serializer=JSONSerializer).enqueue_call(
                func=FUNCTION,
                args=[task, attempt],
                job_id=job_id,
                timeout=int(wall_s) + GRACE_S,
                result_ttl=KEEP_S,
                failure_ttl=KEEP_S,
                unique=True,
            )
        except DuplicateJobError:
            return False
        return True

    async def status(self, task: str, attempt: int) -> JobState:
        """Say where RQ believes the job of an attempt to be; its belief is a hint, the heartbeat decides."""
        return await asyncio.to_thread(self._status, f"{task}-{attempt}")

    def _status(self, job_id: str) -> JobState:
        try:
            status = Job.fetch(job_id, connection=self._redis, serializer=JSONSerializer).get_status()
        except NoSuchJobError:
            return "ended"
        if status is JobStatus.STARTED:
            return "started"
        return "waiting" if status in WAITING else "ended"
