from __future__ import annotations

import json

from bot.audit import kinds
from bot.audit.chain import Draft, Link, extend, genesis
from bot.audit.cost import cost_of
from tests.bot.audit.story import AGENT, SERVICE, TASK


def journal(*drafts: Draft) -> list[bytes]:
    return extend(Link(-1, genesis("i", "r", TASK)), drafts, task=TASK, now_ms=5)[0]


def started(attempt: int, step: str, model: str = "sonnet") -> Draft:
    return Draft("attempt.started", kinds.AttemptStarted(attempt, step, model), SERVICE)


def call(attempt: int, number: int, micro_usd: int | None) -> tuple[Draft, Draft]:
    return (
        Draft("model.call", kinds.ModelCall(attempt, number, "claude", "sonnet"), AGENT),
        Draft("model.result", kinds.ModelResult(attempt, number, "end", 100, 10, micro_usd), AGENT),
    )


STORY = (
    started(1, "coding"), *call(1, 1, 30), *call(1, 2, 40),
    Draft("attempt.ended", kinds.AttemptEnded(1, "coding", "GW-ATTEMPT-LOST"), SERVICE, outcome="fail"),
    started(2, "coding"), *call(2, 1, 5),
    Draft("gate", kinds.GateResult("fallback", "opus", 2), AGENT), *call(2, 2, 6),
    Draft("attempt.ended", kinds.AttemptEnded(2, "coding", "", "", "", 2, 200, 20, 11, 9_000), AGENT),
    started(3, "qa", "gpt-5"), *call(3, 1, None),
    started(4, "publish", ""), Draft("attempt.ended", kinds.AttemptEnded(4, "publish", dur_ms=7), AGENT),
)  # fmt: skip


def test_phases_and_attempts_say_what_they_used_also_those_that_were_lost_or_still_run():
    body = json.loads(cost_of(journal(*STORY)))
    sums = {"calls": 4, "tokens_in": 400, "tokens_out": 40, "micro_usd": 81, "dur_ms": 9_000, "attempts": 2}
    assert body["phases"]["coding"] == {"models": ["opus", "sonnet"], **sums}
    assert body["phases"]["qa"]["micro_usd"] is None, "a price that nobody knows is not nothing"
    assert list(body["phases"]) == ["coding", "qa"], "deliveries ask no model"
    assert body["total"] == {
        "attempts": 3, "calls": 5, "tokens_in": 500, "tokens_out": 50, "micro_usd": None, "dur_ms": 9_000,
    }  # fmt: skip
    assert [(one["attempt"], one["outcome"], one["calls"]) for one in body["attempts"]] == [
        (1, "fail", 2), (2, "ok", 2), (3, "running", 1),
    ]  # fmt: skip
    assert (body["schema"], body["task"]) == ("gatewright/cost/v1", TASK)


def test_the_same_journal_makes_the_same_bytes():
    lines = journal(*STORY)
    assert cost_of(lines) == cost_of(lines)
    assert cost_of(lines).endswith(b"}\n")
    assert json.loads(cost_of([]))["attempts"] == []
