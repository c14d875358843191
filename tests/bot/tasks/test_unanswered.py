from __future__ import annotations

from bot.audit import kinds
from bot.audit.chain import Draft, Link, extend
from bot.audit.record import Who, decode
from bot.tasks.unanswered import unanswered

WHO = Who(id="inst:gw-1", role="service", type="system")


def journal(*data: tuple[str, kinds.Data]) -> list[bytes]:
    drafts = [Draft(kind, one, WHO) for kind, one in data]
    return extend(Link(-1, "0" * 64), drafts, task="1-abcdef", now_ms=1)[0]


def test_only_calls_of_that_attempt_without_a_result_are_answered() -> None:
    lines = journal(
        ("model.call", kinds.ModelCall(1, 1, "p", "m")),
        ("tool.call", kinds.ToolCall(2, 1, "run")),
        ("model.call", kinds.ModelCall(2, 2, "p", "m")),
        ("model.call", kinds.ModelCall(2, 3, "p", "m")),
        ("model.result", kinds.ModelResult(2, 2)),
        ("command.run", kinds.CommandRun(2, 4, "a" * 64, "none")),
    )
    found = unanswered(map(decode, lines), 2, WHO)
    assert found == [
        Draft("tool.result", kinds.ToolResult(2, 1), WHO, outcome="cancelled"),
        Draft("model.result", kinds.ModelResult(2, 3, stop="cancelled"), WHO, outcome="cancelled"),
    ]
    assert unanswered(map(decode, lines), 3, WHO) == []
