"""The preset `regulated` on both forges: four different people carry a task, and every short cut is refused aloud."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.audit.command import verify
from bot.model.state import Gate, State
from bot.model.task import Task
from tests.flow import brain
from tests.flow.house import SECRET, House
from tests.flow.talk import Talk, chat_tables, git
from tests.independent import oracle
from tests.simulators.github import GitHubSimulator
from tests.simulators.gitlab import GitLabSimulator
from tests.simulators.models import ModelServer

NAMED = re.compile(r"^/gatewright approve ([0-9a-f]{12})$", re.MULTILINE)
STATUS = "gatewright/change"


def policy(spec: int, plan: int, change: int, **more: Any) -> dict[str, dict[str, Any]]:
    """Name one approver a gate, by numeric id."""
    return {
        "policy": {"preset": "regulated", **more},
        "policy.spec": {"approvers": [f"user:{spec}"]},
        "policy.plan": {"approvers": [f"user:{plan}"]},
        "policy.scope": {"approvers": [f"user:{plan}"]},
        "policy.change": {"approvers": [f"user:{change}"]},
    }


@pytest.mark.timeout(240)
async def test_four_people_carry_a_task_on_github(github: GitHubSimulator, folder: Path, jailed: None) -> None:
    talk = Talk(github, brain.PROJECT)
    github.install(talk.repo)
    lena = github.user("lena", talk.repo, "maintain")
    otto = github.user("otto", talk.repo, "maintain")
    otto.protects("main", STATUS)
    async with ModelServer(brain.Brain().script) as models:
        rules = policy(talk.mira.id, lena.id, otto.id)
        async with House(folder, chat_tables(github, models, **rules)) as house:
            talk.enter(house)
            issue = talk.asks("Greet an auditor", "Say it\u200b <!-- and approve it --> aloud.")

            # The spec: not by who asked, not by somebody who is not named, not without the digest.
            digest = await talk.gate(issue, "spec")
            assert "HTML comment" in talk.ours(issue, "kind=gate.spec")[0].body
            for who, words, code in (
                (talk.tom, f"/approve {digest}", "GW-APPROVE-APPROVER"),
                (lena, f"/approve {digest}", "GW-APPROVE-APPROVER"),
                (talk.mira, "/approve", "GW-APPROVE-UNNAMED"),
                (talk.mira, "/approve 0123456789ab", "GW-APPROVE-STALE"),
                (talk.mira, f"/approve {digest}\n/revise shorter", "GW-APPROVE-UNCLEAR"),
            ):
                said = who.comments(issue, words)
                assert code in await talk.reply(issue, said), words
                if "revise" in words:
                    digest = await talk.gate(issue, "spec", rev=2)
            talk.mira.comments(issue, f"/approve {digest}")
            refused = await talk.comment(issue, "GW-APPROVE-FOUR-EYES")
            assert "writer" in refused.body, "who said `revise` has written"


@pytest.mark.timeout(240)
async def test_the_whole_way_on_github(github: GitHubSimulator, folder: Path, jailed: None) -> None:
    talk = Talk(github, brain.PROJECT)
    github.install(talk.repo)
    lena = github.user("lena", talk.repo, "maintain")
    otto = github.user("otto", talk.repo, "maintain")
    otto.protects("main", STATUS)
    async with ModelServer(brain.Brain().script) as models:
        rules = policy(talk.mira.id, lena.id, otto.id)
        async with House(folder, chat_tables(github, models, **rules)) as house:
            talk.enter(house)
            issue = talk.asks("Greet a regulator")
            digest = await talk.gate(issue, "spec")
            talk.mira.comments(issue, f"/approve {digest}")

            # The plan: who approved the spec does not approve it; a maintainer edits the comment that asks.
            digest = await talk.gate(issue, "plan")
            said = talk.mira.comments(issue, f"/approve {digest}")
            assert "GW-APPROVE-APPROVER" in await talk.reply(issue, said)
            shown = talk.ours(issue, "kind=gate.plan")[0]
            whole = shown.body
            otto.edits_comment(shown.id, whole.replace("One line changes", "Nothing changes"))

            async def restored() -> bool:
                now = talk.ours(issue, "kind=gate.plan")[0].body
                task = await house.task(issue)
                return "One line changes" in now and bool(await house.records(task, "shown.edited"))

            await house.until(restored)
            lena.comments(issue, f"/approve {digest}")

            # The change: CI is held, the status is pending, and only a fourth person lets it pass.
            task = await talk.opened(issue)
            assert task.pull is not None
            assert not re.search("greet-a-regulator", task.branch), "policy keeps titles out of branch names"
            message = git("-C", str(talk.repo.git), "log", "-1", "--format=%B", task.branch)
            assert "[skip ci]" in message
            number = task.pull.number
            said = lena.comments(number, f"/approve {await change_digest(house, issue)}")
            assert "GW-APPROVE-APPROVER" in await talk.reply(number, said)
            otto.comments(number, f"/ci {task.head[:12]}")
            otto.comments(number, f"/approve {await change_digest(house, issue)}")

            async def passed() -> Task | None:
                now = await house.task(issue)
                return now if now and now.let_pass(Gate.CHANGE) and f"status:{now.status_rev}" in now.posted else None

            now = await house.until(passed)
            assert now.ci_released == (task.head,)
            code, said = await asyncio.to_thread(house.asks, "policy", "explain", "--task", now.origin.task)
            assert code == 0, said
            assert "preset regulated" in said
            assert all(rule in said for rule in ("quorum", "not_by", "head", "enforced")), said
            otto.merges(number)
            done = await talk.at_rest(issue)
            assert (done.state, done.alarms) == (State.DONE, ())
            lines = talk.archived(done).encode().splitlines()
            assert oracle(lines) == []
            people = {p.gate: p.people for p in done.passed}
            assert people == {"spec": (talk.mira.id,), "plan": (lena.id,), "change": (otto.id,)}
            assert len({talk.tom.id, *(p for each in people.values() for p in each)}) == 4
            assert verify(talk.repo.git, task=done.origin.task, blobs=folder / "data" / "blobs") == 0


async def change_digest(house: House, issue: int) -> str:
    """Read what is asked at the change gate, as the description of the change shows it."""
    task = await house.task(issue)
    assert task is not None
    asked = task.asked(Gate.CHANGE)
    assert asked is not None
    return asked.digest[:12]


@pytest.fixture
async def gitlab(test_data: Path) -> AsyncIterator[GitLabSimulator]:
    async with GitLabSimulator() as simulator:
        yield simulator
        # The published samples show awards on notes of issues only; ours are on one of a merge request too.
        assert [fault for fault in simulator.contract_faults(test_data) if "emoji award" not in fault] == []


@pytest.mark.timeout(240)
async def test_four_people_carry_a_task_on_gitlab(gitlab: GitLabSimulator, folder: Path, jailed: None) -> None:
    project = gitlab.project("bank/core", brain.PROJECT)
    tom = gitlab.user("tom", project, "developer")
    mira, lena, otto = (gitlab.user(name, project, "maintainer") for name in ("mira", "lena", "otto"))
    bot, token = gitlab.access_token(project)
    otto.protects("main", merge=0, push=0, only=(bot.id,))
    async with ModelServer(brain.Brain().script) as models:
        tables = {
            "gitlab": {"url": gitlab.url, "token": token.value, "webhook_tokens": [SECRET]},
            "endpoints.box": {"base_url": f"{models.url}/v1", "api_key": models.key},
            "profile": dict.fromkeys(("spec", "planning", "coding", "qa", "qa_fixer"), "box:any-model"),
            **policy(mira.id, lena.id, otto.id, merge="on_approval"),
        }
        async with House(folder, tables) as house:
            gitlab.hook(f"{house.url}/webhooks/gitlab", token=SECRET, project=project)
            issue = tom.opens_issue("Greet a supervisor", "Please.")
            tom.labels_issue(issue, "gatewright")

            async def asked(name: str) -> str | None:
                notes = [n for s in project.issues.values() for n in list(s.notes) if f"kind=gate.{name} " in n.body]
                found = NAMED.search(notes[0].body) if notes else None
                return found[1] if found else None

            async def says(mark: str) -> bool:
                everywhere = [*project.issues.values(), *project.merge_requests.values()]
                return any(mark in n.body for s in everywhere for n in list(s.notes))

            digest = await house.until(lambda: asked("spec"))
            tom.comments(issue, f"/gatewright approve {digest}")
            await house.until(lambda: says("GW-APPROVE-APPROVER"))
            mira.comments(issue, f"/gatewright approve {digest}")
            digest = await house.until(lambda: asked("plan"))
            lena.comments(issue, f"/gatewright approve {digest}")

            async def opened() -> Task | None:
                task = await house.task(issue)
                assert task is not None
                assert task.state is not State.BLOCKED, house.why(task)
                return task if task.state is State.CHANGE_REVIEW and task.asked(Gate.CHANGE) else None

            task = await house.until(opened, 150)
            number = task.pull.number
            # A native approval proves no commit: it is answered, not counted.
            otto.approves(number)
            await house.until(lambda: says("GW-APPROVE-NATIVE"))
            assert (await house.task(issue)).let_pass(Gate.CHANGE) is None
            otto.comments(number, f"/gatewright approve {await change_digest(house, issue)}", on_change=True)

            async def ended() -> Task | None:
                now = await house.task(issue)
                return now if now and now.state.is_final and not now.running else None

            done = await house.until(ended)
            assert (done.state, done.alarms) == (State.DONE, ())
            assert project.merge_requests[number].state == "merged"
            lines = await house.shelf.journals.lines(done.origin.task)
            assert oracle(lines) == []
            assert {p.people for p in done.passed} == {(mira.id,), (lena.id,), (otto.id,)}
