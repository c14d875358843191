"""Control without its loop: a desk over a real Redis and a forge in memory, and workers whose reports a test writes."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from redis import Redis as BlockingRedis
from redis.asyncio import Redis

from bot.audit.blobs import Blobs
from bot.audit.keys import InstanceKey
from bot.audit.record import Record, decode
from bot.keyring import instance_key, runner_key
from bot.model.event import Actor, Comment, Event, EventKind, LabelEvent
from bot.model.task import Task
from bot.settings import Settings
from bot.tasks.book import Shelf
from bot.tasks.converge import converge
from bot.tasks.desk import Desk
from bot.tasks.hearing import hear
from bot.tasks.index import Index
from bot.tasks.journal import Journals
from bot.tasks.opening import open_task
from bot.tasks.queue import Jobs
from tests.bot.tasks.forge import MIRA, REPO, TOM, MemoryForge, commit

SPEC = (Path(__file__).parents[3] / "bot/model/formats/spec.md").read_text(encoding="utf-8")
PLAN = (Path(__file__).parents[3] / "bot/model/formats/plan.md").read_text(encoding="utf-8")


class Log:
    """What control wrote into its log: (event, fields)."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def _write(self, event: str, **fields: Any) -> None:
        self.lines.append((event, fields))

    info = warning = error = exception = _write

    def codes(self, event: str) -> list[str]:
        return [fields.get("code", "") for name, fields in self.lines if name == event]

    def events(self) -> list[str]:
        return [name for name, _ in self.lines]


class Office:
    """One control, one forge, one clock that a test may turn."""

    def __init__(self, url: str, data: Path, settings: Settings | None = None) -> None:
        self.redis = Redis.from_url(url)
        self.queue = BlockingRedis.from_url(url)
        self.forge = MemoryForge()
        self.repo = REPO
        self.log = Log()
        self.ahead_ms = 0  # by which time has passed
        self.set_ms = 0  # by which somebody has set the clock
        self.runner: InstanceKey = runner_key(data, "gatewright")
        self.index = Index(self.redis)
        self.desk = Desk(
            settings=settings or Settings(),
            redis=self.redis,
            shelf=Shelf(Journals(self.redis), self.clock, self.steady),
            jobs=Jobs(self.queue),
            blobs=Blobs(data / "blobs"),
            key=instance_key(data, "gatewright"),
            data=data,
            forges={(kind, REPO.host): self.forge for kind in ("github", "gitlab")},
            clock=self.clock,
            log=self.log,
        )
        self._events = 0

    async def close(self) -> None:
        await self.redis.aclose()
        self.queue.close()

    def clock(self) -> int:
        return self.steady() + self.set_ms

    def steady(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead_ms

    # -- events

    def event(self, kind: EventKind, who: Actor = TOM, number: int = 42, **more: Any) -> Event:
        self._events += 1
        return Event(kind, self.repo, number, who, f"delivery-{self._events}", self.clock(), **more)

    def labelled(self, who: Actor = TOM, number: int = 42) -> Event:
        self.forge.labels = [LabelEvent("gatewright", who, self.clock(), is_set=True)]
        return self.event(EventKind.LABELED, who, number, label="gatewright")

    async def opened(self) -> str:
        """Open the task of issue 42, and converge: its spec is ordered."""
        self.forge.opens()
        task = await open_task(self.desk, self.index, self.labelled())
        assert task is not None
        await self.converge(task)
        return task

    async def converge(self, task: str) -> Task:
        await converge(self.desk, self.index, task)
        return await self.desk.shelf.read(task)

    async def hears(self, task: str, event: Event) -> Task:
        async with self.desk.shelf.open(task) as book:
            await hear(self.desk, book, event)
            return book.task

    async def says(self, task: str, who: Actor, body: str, number: int = 42, **more: Any) -> Task:
        comment = self.forge.says(who, body, number)
        return await self.hears(task, self.commented(comment, number, **more))

    def commented(self, comment: Comment, number: int = 42, **more: Any) -> Event:
        return self.event(EventKind.COMMENTED, comment.author, number, comment=comment, **more)

    # -- a worker

    async def reports(self, task: str, kind: str, data: Mapping[str, Any], **more: Any) -> None:
        """Put a report into the stream of the running attempt, as a worker does."""
        running = (await self.desk.shelf.read(task)).running
        assert running is not None, "no attempt runs"
        entry = {"kind": kind, "data": {"attempt": running.number, **data}, **more}
        await self.redis.xadd(f"gw:attempt:{task}:{running.number}", {"r": msgspec.json.encode(entry)})

    def text(self, content: str) -> tuple[str, list[dict[str, Any]]]:
        """Store a draft; its digest and the refs of its record."""
        raw = content.encode()
        return hashlib.sha256(raw).hexdigest(), [{"commit": self.desk.blobs.put(raw), "name": "text", "size": len(raw)}]

    async def ends(self, task: str, outcome: str = "ok", **data: Any) -> Task:
        running = (await self.desk.shelf.read(task)).running
        assert running is not None
        await self.reports(task, "attempt.ended", {"step": running.step.value, **data}, outcome=outcome)
        return await self.converge(task)

    async def ends_without_waking(self, task: str) -> None:
        """Report a failure that nobody tells control of."""
        await self.reports(task, "attempt.ended", {"step": "spec", "code": "GW-TEST"}, outcome="fail")

    async def drafts(self, task: str, kind: str, content: str) -> Task:
        """Report a draft and the end of its attempt."""
        present = await self.desk.shelf.read(task)
        draft = present.spec if kind == "spec" else present.plan
        digest, refs = self.text(content)
        data = {f"{kind}_sha256": digest, "rev": draft.rev + 1 if draft else 1}
        await self.reports(task, f"{kind}.set", data, refs=refs, basis="claimed")
        return await self.ends(task)

    async def at_spec_gate(self) -> str:
        task = await self.opened()
        await self.drafts(task, "spec", SPEC)
        return task

    async def at_plan_gate(self) -> str:
        task = await self.at_spec_gate()
        await self.says(task, MIRA, "/approve")
        await self.converge(task)
        await self.drafts(task, "plan", PLAN)
        return task

    async def coded(self) -> str:
        task = await self.at_plan_gate()
        await self.says(task, MIRA, "/approve")
        await self.converge(task)
        head = commit("coded")
        made = {"commit": head, "tree": head, "parent": head, "source_sha256": "c" * 64, "step": 1}
        await self.reports(task, "commit.made", made)
        await self.ends(task, commit=head, source_sha256="c" * 64)
        return task

    async def finds(self, task: str, head: str, count: int = 0) -> None:
        """Report what a change holds beyond its plan, as a worker does that has written or judged it."""
        [ref] = self.text("[" + ",".join(['{"rule":"unplanned","path":"Makefile"}'] * count) + "]")[1]
        found = {"commit": head, "source_sha256": "c" * 64, "scope_sha256": f"{count:064x}", "count": count}
        await self.reports(task, "scope.found", found, refs=[{**ref, "name": "findings"}])

    async def judged(self, task: str, *, passed: bool) -> Task:
        now = await self.desk.shelf.read(task)
        verdict = {
            "round": now.rounds + 1, "commit": now.head, "source_sha256": now.source_sha256,
            "verdict": "passed" if passed else "failed", "criteria": 3, "met": 3 if passed else 2,
        }  # fmt: skip
        await self.reports(task, "qa.verdict", verdict)
        return await self.ends(task, commit=now.head, source_sha256=now.source_sha256)

    async def published(self, task: str) -> Task:
        now = await self.desk.shelf.read(task)
        branch, head = f"gatewright/{task}-retry-the-payment-client", commit("published")
        self.forge.pushes(branch, head)
        await self.reports(task, "pushed", {"ref": f"refs/heads/{branch}", "commit": head, "size": now.size})
        return await self.ends(task, commit=head, source_sha256=now.source_sha256)

    async def at_change_gate(self) -> str:
        task = await self.coded()
        await self.judged(task, passed=True)
        await self.published(task)
        return task

    async def records(self, task: str) -> list[Record]:
        return [decode(line) for line in await self.desk.shelf.journals.lines(task)]

    async def kinds(self, task: str) -> list[str]:
        return [record.kind for record in await self.records(task)]
