from __future__ import annotations

from bot.audit import kinds
from bot.model.event import ForgeKind
from bot.model.state import State, Step
from bot.model.task import Usage
from bot.tasks.fold import fold
from tests.bot.tasks.history import COMMIT, History


def test_a_journal_opens_with_what_the_task_is_about():
    task = History().task
    assert (task.state, task.origin.issue, task.origin.repo.forge) == (State.RECEIVED, 42, ForgeKind.GITHUB)
    assert task.origin.repo.key == "github:github.example:5"


def test_the_whole_way_to_a_reviewed_change():
    history = History().at_change_review()
    task = history.task
    assert task.state is State.CHANGE_REVIEW
    assert [a.step for a in task.attempts] == [Step.SPEC, Step.PLANNING, Step.CODING, Step.QA, Step.PUBLISH]
    assert task.usage == Usage(5, 500, 100, 7_500)
    assert task.branch == "gatewright/42-k7f3qd-x"
    assert task.steps == ((1, COMMIT),)


def test_folding_in_pieces_is_folding_at_once():
    history = History().at_change_review()
    records = history.records
    for cut in range(1, len(records)):
        assert fold(records[cut:], fold(records[:cut])) == history.task


def test_a_write_that_began_and_did_not_end_is_remembered():
    history = History().add("forge.intent", kinds.ForgeIntent("gate.spec", 1))
    assert history.task.intents == ("gate.spec:1",)
    history.add("forge.done", kinds.ForgeDone("gate.spec", 1, "9912"))
    assert history.task.intents == ()
    assert history.task.posted == {"gate.spec:1": "9912"}
