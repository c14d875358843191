"""Whatever dies, and however often and in whatever order deliveries come: each task converges, and nothing twice."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from bot.model.state import State
from bot.model.task import Task
from tests.flow import processes
from tests.flow.brain import PROJECT, Brain
from tests.flow.house import House, Parts
from tests.flow.processes import agents
from tests.flow.talk import LABEL, Talk, chat_tables, git
from tests.simulators.github import GitHubSimulator
from tests.simulators.github.faults import Fault
from tests.simulators.github.hooks import envelope
from tests.simulators.models import ModelServer

pytestmark = pytest.mark.timeout(240)
SLOW = 4.0  # seconds for which a write to GitHub is under way, so that something can die meanwhile
SAID = ("kind=progress", "kind=gate.spec", "kind=gate.plan")


@dataclass
class Scene:
    """The roles one by one, the people, and the model."""

    house: Parts
    talk: Talk
    brain: Brain

    async def under_way(self, fault: Fault) -> None:
        """Wait until a slow request has reached GitHub."""
        await self.house.until(lambda: hit(fault), what=f"{fault.method} {fault.path} under way")


async def working() -> set[int]:
    return agents()


async def hit(fault: Fault) -> int:
    return fault.hits


@asynccontextmanager
async def raised(
    github: GitHubSimulator, folder: Path, roles: Sequence[str] = ("serve", "control", "work")
) -> AsyncIterator[Scene]:
    talk, brain = Talk(github, PROJECT), Brain()
    github.install(talk.repo)
    async with ModelServer(brain.script) as models, Parts(folder, chat_tables(github, models), roles) as house:
        talk.enter(house)
        yield Scene(house, talk, brain)


async def test_control_and_web_may_die_at_any_moment(github: GitHubSimulator, folder: Path, jailed: None):
    async with raised(github, folder) as scene:
        house, talk = scene.house, scene.talk

        # While an agent of one task works, control dies between another task's comment and the record of it.
        busy = talk.asks("Greet asleep")
        await talk.gate(busy, "spec")
        talk.mira.comments(busy, "/approve")
        await talk.gate(busy, "plan")
        slow = github.fault("POST", r"/issues/2/comments", delay=SLOW)
        issue = talk.tom.opens_issue("Greet on", "Please.")
        assert issue == 2
        talk.tom.labels_issue(issue, LABEL)
        await talk.running(issue, "spec")
        talk.mira.comments(busy, "/approve")
        await scene.under_way(slow)
        await house.until(working)
        house.kill("control")

        # Web dies before the next word comes; GitHub notes it, and somebody asks for the delivery again.
        house.kill("serve")
        approval = talk.mira.comments(busy, "/status")
        await talk.github.settled()
        (lost,) = [d for d in github.deliveries if d.payload.get("comment", {}).get("id") == approval]
        assert lost.status == 0
        house.raise_("control")
        house.raise_("serve")
        await house.until(house.is_ready)
        github.redeliver(lost)
        await talk.reply(busy, approval)

        # The agent never noticed, the comment was found again and not repeated.
        assert agents()
        await talk.gate(issue, "spec")
        assert (await house.task(busy)).attempts[-1].number == 3
        scene.brain.is_tired = False
        talk.mira.comments(busy, "/cancel")

        # It dies again with the pull request under way.
        slow = github.fault("POST", r"/pulls$", delay=SLOW)
        talk.mira.comments(issue, "/approve")
        await talk.gate(issue, "plan")
        talk.mira.comments(issue, "/approve")
        await scene.under_way(slow)
        house.crash("control")
        task = await talk.opened(issue)
        assert [pull.number for pull in talk.pulls()] == [task.pull.number]
        await talk.at_rest(busy)
        for number in (busy, issue):
            talk.once(number, *SAID)
        talk.once(busy, "kind=closed")
        assert await intended_once(house, task)


async def intended_once(house: Parts, task: Task) -> bool:
    """Tell whether every write to the forge has one intent and one end."""
    begun = [(r["data"]["purpose"], r["data"]["rev"]) for r in await house.records(task, "forge.intent")]
    ended = [(r["data"]["purpose"], r["data"]["rev"]) for r in await house.records(task, "forge.done")]
    return len(set(begun)) == len(begun) and sorted(begun) == sorted(ended)


async def test_answers_that_never_arrive_repeat_nothing(github: GitHubSimulator, folder: Path, jailed: None):
    async with raised(github, folder) as scene:
        house, talk = scene.house, scene.talk
        faults = [
            github.fault("POST", r"/issues/1/comments", cut=True),
            github.fault("POST", r"/pulls$", cut=True),
            github.fault("POST", r"/statuses/", cut=True),
            github.fault("PATCH", r"/issues/comments/", cut=True),
            github.fault("POST", r"/reactions$", status=502),
            github.fault("POST", r"/access_tokens$", status=503),
        ]
        issue = talk.asks("Greet through a bad line")
        waking = asyncio.create_task(kept_awake(house, issue))
        task = await talk.reviewed(issue)
        waking.cancel()
        talk.once(issue, *SAID)
        assert [pull.number for pull in talk.pulls()] == [task.pull.number]
        assert len({status.sha for status in talk.repo.statuses if status.context == "gatewright/change"}) == 1
        assert all(fault.hits for fault in faults)
        assert await intended_once(house, task)


async def kept_awake(house: Parts, *issues: int) -> None:
    """Sweep more often than every 15 s."""
    while True:
        for issue in issues:
            if task := await house.task(issue):
                await house.wake(task)
        await asyncio.sleep(0.5)


async def test_workers_that_die_freeze_or_lie_move_nothing(github: GitHubSimulator, folder: Path, jailed: None):
    async with raised(github, folder, ("serve", "control", "work.1", "work.2")) as scene:
        house, talk = scene.house, scene.talk
        first = talk.asks("Greet asleep, then killed")
        killed = await talk.working(first)
        workers = {role: process.pid for role, process in house.running.items() if role.startswith("work")}
        victim = next(role for role, pid in workers.items() if processes.is_within(min(agents()), pid))
        second = talk.asks("Greet asleep, then frozen")
        frozen = await talk.working(second)
        (survivor,) = workers.keys() - {victim}
        (horse,) = processes.children(workers[survivor])

        # One worker is killed: its agent dies with it. The other's machine hangs. A third machine comes up.
        processes.stop(horse)
        house.kill(victim)
        house.raise_("work.3", GATEWRIGHT_WORKER__WORK_DIR=str(folder / "other"))
        try:
            await lies(scene)
            scene.brain.is_tired = False
            waking = asyncio.create_task(kept_awake(house, first, second))
            ended = [await talk.opened(first), await talk.opened(second)]
            waking.cancel()
        finally:
            for agent in agents():  # what the frozen worker waits for is over
                os.kill(agent, signal.SIGKILL)
            processes.go_on(horse)
        for before, after in zip((killed, frozen), ended, strict=True):
            number = before.running.number
            lost, follower = after.attempts[number - 1 : number + 1]
            assert (lost.number, lost.outcome, lost.code) == (number, "fail", "GW-ATTEMPT-LOST")
            assert follower.step is lost.step
            # It died with a call open, which control has answered: it was cancelled.
            theirs = [record for record in await house.records(after) if record["data"].get("attempt") == number]
            asked = [(r["kind"].split(".")[0], r["data"]["call"]) for r in theirs if r["kind"].endswith(".call")]
            told = [(r["kind"].split(".")[0], r["data"]["call"]) for r in theirs if r["kind"].endswith(".result")]
            assert sorted(asked) == sorted(told)
            answers = [r for r in theirs if r["kind"].endswith(".result") and r["actor"]["type"] == "system"]
            assert answers
            assert {r["outcome"] for r in answers} == {"cancelled"}

        # The frozen one wakes up and goes on where it stood: nothing it reports or pushes is taken.
        head = git("-C", str(talk.repo.git), "rev-parse", ended[1].branch)
        size = (await house.task(second)).size

        async def gave_up() -> bool:
            return bool(house.logged("attempt.superseded")) and not processes.lives(horse)

        await house.until(gave_up)
        name, number = frozen.origin.task, frozen.running.number
        late = {"kind": "attempt.ended", "data": {"attempt": number, "step": "coding"}, "outcome": "ok"}
        await house.redis.xadd(f"gw:attempt:{name}:{number}", {"r": json.dumps(late)})
        await house.wake(frozen)
        status = talk.mira.comments(second, "/status")
        await talk.reply(second, status)
        records = await house.records(frozen)
        assert {record["kind"] for record in records[size:]} <= {"command", "forge.intent", "forge.done"}
        assert git("-C", str(talk.repo.git), "rev-parse", ended[1].branch) == head
        for issue in (first, second):
            talk.once(issue, *SAID)
        assert len(talk.pulls()) == 3


async def lies(scene: Scene) -> None:
    """Who can write to Redis, and holds no key, gets no credential, gives no approval and no order."""
    house, talk, brain = scene.house, scene.talk, scene.brain
    issue = talk.asks("Greet asleep, then lied to")
    task = await talk.working(issue)
    name, number = task.origin.task, task.running.number

    knock = f"access:{name}:{number}:99"
    await house.redis.set(
        f"gw:{knock}:ask", json.dumps({"public": "ab" * 32, "write": True, "policy": "ef" * 32, "signature": "cd" * 64})
    )
    await house.redis.lpush("gw:wake", knock, "access:of:nothing", "no task at all")

    async def noticed() -> bool:
        return bool(house.logged("access.forged")) and len(house.logged("wake.unreadable")) == 2

    await house.until(noticed)
    assert not await house.redis.exists(f"gw:{knock}", f"gw:{knock}:ask")

    # A report of a kind that only control may write ends the attempt, and a person is asked.
    data = {"what": "change", "digest": "0" * 64, "rev": 1, "event_id": "1:1", "forge_ts": 1}
    approval = {"kind": "approval", "data": data | {"permission": "admin", "method": "digest"}}
    await house.redis.xadd(f"gw:attempt:{name}:{number}", {"r": json.dumps(approval)})
    await house.wake(task)
    assert "GW-ATTEMPT-INVALID" in (await talk.comment(issue, "kind=blocked")).body
    task = await talk.state(issue, State.BLOCKED)
    assert {approval.gate.value for approval in task.approvals} == {"spec", "plan"}

    # An order that control did not sign is not carried out: here, one that pushes to the default branch.
    main = git("-C", str(talk.repo.git), "rev-parse", "main")
    house.kill("work.3")
    brain.is_tired = False
    retry = talk.mira.comments(issue, "/retry")
    await talk.seen(issue, retry)
    task = await talk.running(issue, "coding")
    key = f"gw:order:{name}:{task.running.number}"

    async def ordered() -> bytes | None:
        return await house.redis.get(key)

    genuine = await house.until(ordered)
    await house.redis.set(key, re.sub(rb'"branch":"[^"]+"', b'"branch":"main"', genuine))
    assert await house.redis.get(key) != genuine
    house.raise_("work.3", GATEWRIGHT_WORKER__WORK_DIR=str(house.folder / "other"))

    async def refused() -> bool:
        return bool(house.logged("attempt.refused"))

    await house.until(refused)
    waking = asyncio.create_task(kept_awake(house, issue))
    task = await talk.opened(issue)
    waking.cancel()
    brain.is_tired = True
    assert git("-C", str(talk.repo.git), "rev-parse", "main") == main
    assert [attempt.code for attempt in task.attempts].count("GW-ATTEMPT-LOST") == 1


async def test_two_controls_and_every_delivery_thrice_change_nothing(
    github: GitHubSimulator, folder: Path, jailed: None
):
    async with raised(github, folder, ("serve", "control.1", "control.2", "work")) as scene:
        house, talk = scene.house, scene.talk

        # A label that is gone by the time its delivery comes opens nothing; nor do deliveries in the wrong order.
        github.hold()
        fickle = talk.asks("Greet whom?")
        talk.mira.comments(fickle, "/status")
        talk.tom.unlabels_issue(fickle, LABEL)
        github.release(lambda held: held[::-1])
        await talk.quiet()
        assert await house.tasks() == []

        # One delivery eight times at once opens one task; so do two deliveries of one click.
        github.courier.keep = lambda delivery: False
        issue = talk.asks("Greet once")
        await talk.github.settled()
        labelled = [d for d in github.deliveries if d.action == "labeled"][-1]
        body, headers = envelope(labelled)
        async with httpx.AsyncClient(trust_env=False) as client:
            posts = [client.post(f"{house.url}/webhooks/github", content=body, headers=headers) for _ in range(8)]
            twin = client.post(
                f"{house.url}/webhooks/github", content=body, headers=headers | {"X-GitHub-Delivery": "twin"}
            )
            answers = await asyncio.gather(*posts, twin)
        assert {answer.status_code for answer in answers} == {202}
        assert sorted(answer.json()["status"] for answer in answers) == ["accepted"] * 2 + ["duplicate"] * 7
        github.courier.keep = lambda delivery: True

        # All the way, with both replicas woken for everything and every delivery made again by request and by mistake.
        waking = asyncio.create_task(kept_awake(house, issue))
        task = await talk.reviewed(issue)
        waking.cancel()
        again = [d for d in github.deliveries if d.event != "push"]
        before = (await house.task(issue)).size
        for delivery in again:
            github.redeliver(delivery)
            github.redeliver(delivery, by_request=False)
        await talk.quiet()
        await house.wake(task)
        assert (await house.task(issue)).size == before
        assert len(await house.tasks(issue)) == 1
        talk.once(issue, *SAID)
        assert [pull.number for pull in talk.pulls()] == [task.pull.number]
        assert await intended_once(house, task)
        assert not house.logged("control.bug")
        assert not house.logged("delivery.bug")


async def test_up_ends_when_its_redis_is_killed_and_goes_on_when_started_again(
    github: GitHubSimulator, folder: Path, jailed: None
):
    talk, brain = Talk(github, PROJECT), Brain()
    github.install(talk.repo)
    async with ModelServer(brain.script) as models:
        house = House(folder, chat_tables(github, models))
        async with house:
            talk.enter(house)
            issue = talk.asks("Greet after a fall")
            await talk.gate(issue, "spec")
            slow = github.fault("GET", r"/issues/comments/", delay=SLOW)
            approval = talk.mira.comments(issue, "/approve")
            await house.until(lambda: hit(slow), what="an approval that is being read")
            os.kill((await house.redis.info("server"))["process_id"], signal.SIGKILL)
            code = await asyncio.to_thread(house.process.wait, 60)
            assert code == 1
            assert "GW-UP-REDIS" in house.said()
            delivered = [d for d in github.deliveries if d.payload.get("comment", {}).get("id") == approval]
            assert [delivery.status for delivery in delivered] == [202], "it is ours now, whatever happens"
        async with house:
            await talk.gate(issue, "plan")
            talk.mira.comments(issue, "/approve")
            await talk.opened(issue)
            talk.once(issue, *SAID)
