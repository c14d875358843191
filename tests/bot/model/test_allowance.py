from __future__ import annotations

import pytest

from bot.model.allowance import Allowance
from bot.model.task import Usage


@pytest.mark.parametrize("limit", [{"tokens": 0}, {"calls": 1}, {"micro_usd": 7}])
def test_any_limit_is_one_and_nothing_is_none(limit: dict[str, int]):
    assert Allowance(scope="task", **limit).is_limited
    assert not Allowance(scope="task", used=Usage(9, 9, 9, 9)).is_limited
