"""The servers that are known by name."""

from __future__ import annotations

import pytest

from bot.endpoints.address import checked_url
from bot.endpoints.presets import preset, presets
from bot.model.errors import UsageError


def test_the_servers_people_use_are_there():
    assert {"lm-studio", "vllm", "openrouter", "together", "groq", "localai", "llama-cpp", "ollama"} <= set(presets())


@pytest.mark.parametrize("name", presets())
def test_a_preset_is_where_a_key_may_go_and_asks_for_one_where_it_is_somebody_elses(name):
    one = preset(name)
    assert checked_url(one.base_url) == one.base_url
    assert one.needs_key == one.base_url.startswith("https://")
    assert one.about


def test_a_name_that_is_none_is_told_with_the_nearest():
    with pytest.raises(UsageError, match="no preset 'Grok'") as caught:
        preset("Grok")
    assert (caught.value.code, caught.value.fix) == ("GW-ENDPOINT-PRESET", "did you mean groq?")
