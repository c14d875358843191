from __future__ import annotations

import pytest

from bot.audit import kinds
from bot.audit.account import counted, settled
from bot.model.task import Usage


def test_a_call_counts_when_it_is_made_and_what_it_used_when_it_has_ended():
    made = counted(Usage(), kinds.ModelCall(1, 1, "claude", "sonnet", tokens_in=99))
    assert made == Usage(1)
    assert counted(made, kinds.ModelResult(1, 1, "end", 70, 7, 9)) == Usage(1, 70, 7, 9)
    assert counted(made, kinds.ModelResult(1, 1, "end", 70, 7, None)).micro_usd is None
    assert counted(made, kinds.ToolCall(1, 1, "edit")) == made


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        (kinds.AttemptEnded(1, "spec"), Usage(2, 70, 7, 9)),
        (kinds.AttemptEnded(1, "spec", "", "", "", 2, 70, 7, 9), Usage(2, 70, 7, 9)),
        (kinds.AttemptEnded(1, "spec", "", "", "", 1, 700, 3, None), Usage(2, 700, 7, None)),
    ],
)
def test_nobody_talks_down_what_was_counted(said: kinds.AttemptEnded, taken: Usage):
    assert settled(Usage(2, 70, 7, 9), said) == taken
