from __future__ import annotations

import pytest

from bot.model.errors import GatewrightError, Refused, Superseded, Unavailable, UsageError


def test_an_error_says_what_why_and_what_to_do():
    error = GatewrightError("GW-X", "it broke", why="it was old", fix="get a new one")
    assert str(error) == "it broke [GW-X]\nwhy: it was old\nfix: get a new one"


def test_what_is_not_known_is_left_out():
    assert str(GatewrightError("GW-X", "it broke")) == "it broke [GW-X]"
    assert str(GatewrightError("GW-X", "it broke", fix="mend it")) == "it broke [GW-X]\nfix: mend it"


@pytest.mark.parametrize("kind", [UsageError, Refused, Unavailable, Superseded])
def test_all_that_may_cross_a_border_is_one_family(kind: type[GatewrightError]):
    with pytest.raises(GatewrightError) as raised:
        raise kind("GW-X", "what")
    assert (raised.value.code, raised.value.what, raised.value.args) == ("GW-X", "what", ("what",))
