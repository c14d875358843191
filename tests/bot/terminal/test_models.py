"""Which models do the work is settled before anything is spent."""

from __future__ import annotations

import pytest

from bot.model.errors import GatewrightError, UsageError
from bot.settings import ProviderTable, Settings
from bot.settings_file import load
from bot.terminal.models import Machine, choose, lend, profile, verify
from bot.terminal.offers import Offer

KEY = {"GATEWRIGHT_PROVIDERS__CLAUDE__API_KEY": '"sk"'}
OFFER = Offer("sonnet", "ANTHROPIC_API_KEY is set", ("providers", "claude"), KEY)


def machine(*, lacks: str = "", jail: str | None = None) -> Machine:
    """The runners' half, which knows every model but one."""

    def resolve(model: str, _settings: Settings, *, check: bool) -> str:
        if model == lacks:
            raise GatewrightError("GW-MODEL-KEY-MISSING", "there is no key", fix="Set it.")
        return model if check else ""

    return Machine(resolve, lambda _: jail)


def test_a_key_at_hand_is_lent_only_where_the_settings_say_nothing():
    assert lend(Settings(), (OFFER,)) == KEY
    assert lend(Settings(providers={"claude": ProviderTable(api_key="own")}), (OFFER,)) == {}


def test_one_model_for_all_phases_whatever_its_name_holds():
    odd = 'here:qwen "3"\\14b'
    assert set(load(None, profile(odd)).profile.__struct_fields__) == {"spec", "planning", "coding", "qa", "qa_fixer"}
    assert load(None, profile(odd)).profile.qa_fixer == odd


def test_a_model_that_could_not_run_is_named_with_its_phase():
    with pytest.raises(UsageError, match=r"there is no key \(profile.planning = opus\)") as caught:
        verify(Settings(), machine(lacks="opus"))
    assert (caught.value.code, caught.value.fix) == ("GW-MODEL-KEY-MISSING", "Set it.")


def test_no_real_model_works_without_the_jail_unless_the_settings_take_the_risk():
    with pytest.raises(UsageError) as caught:
        verify(Settings(), machine(jail="not installed: bwrap"))
    assert (caught.value.code, caught.value.why) == ("GW-SANDBOX-START", "not installed: bwrap")
    verify(load(None, {"GATEWRIGHT_SANDBOX__MODE": "none-i-accept-the-risk"}), machine(jail="not installed: bwrap"))


def test_settings_that_name_a_provider_are_followed(tmp_path):
    config = tmp_path / "gatewright.toml"
    config.write_text('[endpoints.here]\nbase_url = "http://127.0.0.1:9/v1"\n[profile]\nspec = "here:toy"\n')
    overrides, because = choose("", config, machine())
    assert because == ""
    assert not any(name.startswith("GATEWRIGHT_PROFILE__") for name in overrides)


def test_a_model_that_is_named_is_taken_for_all_phases(tmp_path):
    config = tmp_path / "gatewright.toml"
    config.write_text("")
    overrides, _ = choose("haiku", config, machine())
    assert {value for name, value in overrides.items() if name.startswith("GATEWRIGHT_PROFILE__")} == {'"haiku"'}
