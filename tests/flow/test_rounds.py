"""QA that is never content: rounds are bounded, nothing is lost, and a person can go on from where it stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.audit.command import verify
from bot.model.state import State, Step
from tests.flow import brain
from tests.flow.house import House
from tests.flow.talk import Talk, chat_tables, git
from tests.independent import verify_evidence
from tests.simulators.github import GitHubSimulator
from tests.simulators.models import ModelServer

ROUNDS = 2


@pytest.mark.timeout(180)
async def test_used_up_rounds_leave_a_draft_and_retry_goes_on_from_it(
    github: GitHubSimulator, folder: Path, jailed: None
):
    talk = Talk(github, brain.PROJECT)
    github.install(talk.repo)
    async with ModelServer(brain.Brain().script) as models:
        tables = chat_tables(github, models, budget={"qa_rounds": ROUNDS})
        async with House(folder, tables) as house:
            talk.enter(house)
            issue = talk.asks("Greet a hopeless case")
            await talk.gate(issue, "spec")
            talk.mira.comments(issue, "/approve")
            await talk.gate(issue, "plan")
            talk.mira.comments(issue, "/approve")

            # Two rounds, no more; then a draft that says what it is, and a comment that says how to go on.
            blocked = await talk.comment(issue, "kind=blocked")
            task = await talk.state(issue, State.BLOCKED)
            assert (task.blocked_code, task.rounds) == ("GW-QA-ROUNDS", ROUNDS)
            assert [a.step for a in task.attempts].count(Step.QA_FIXER) == ROUNDS - 1
            for words in ("GW-QA-ROUNDS", "`/retry`", "`/fix <what to mend>`", "`/cancel`", "draft pull request"):
                assert words in blocked.body
            assert len(blocked.reactions) == 0
            (pull,) = talk.pulls()
            assert pull.pull.draft
            assert "**This is a draft.**" in pull.body
            assert "0 of 1 criterion met, not passed" in pull.body
            assert "try 2 is not enough" in pull.body

            # Nothing of the work is lost: both commits and the evidence are on the branch.
            log = git(
                "-C", str(talk.repo.git), "log", "--format=%(trailers:key=Gatewright-Step,valueonly)", task.branch
            )
            assert log.split() == ["evidence", "fix-2", "1"]
            assert prove(talk, folder / "before", task.branch, task.origin.task) > 50

            # A hint takes the same branch on; the same pull request is described anew.
            retry = talk.mira.comments(issue, "/retry mend it")
            await talk.seen(issue, retry)
            task = await talk.opened(issue, times=2)
            assert len(talk.pulls()) == 1
            assert task.pull.number == pull.number
            assert "1 of 1 criterion met" in pull.body
            assert "This is a draft" not in pull.body
            assert "Ready for review" in pull.body, "GitHub lets only people take the mark off"
            assert pull.pull.sha == task.head
            log = git(
                "-C", str(talk.repo.git), "log", "--format=%(trailers:key=Gatewright-Step,valueonly)", task.branch
            )
            assert log.split() == ["evidence", "fix-1", "evidence", "fix-2", "1"]
            assert prove(talk, folder / "after", task.branch, task.origin.task) > 80
            talk.once(issue, "kind=blocked", "kind=progress", "kind=gate.spec", "kind=gate.plan")
            talk.mira.merges(pull.number)
            assert (await talk.at_rest(issue)).state is State.DONE


def prove(talk: Talk, clone: Path, branch: str, task: str) -> int:
    """Verify the evidence on a branch twice over and count its records."""
    git("clone", "-q", "-b", branch, str(talk.repo.git), str(clone))
    assert verify(clone, task=task) == 0
    return verify_evidence(clone / ".gatewright" / "tasks" / task)
