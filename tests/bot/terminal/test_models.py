"""Which models do the work is settled before anything is spent."""

from __future__ import annotations

import pytest

from bot.model.errors import GatewrightError, UsageError
from bot.model.policy import Policy
from bot.model.task import Profile
from bot.profiles import server_profile
from bot.settings import NamedProfile, ProfileTable, ProviderTable, Settings, Trigger
from bot.settings_file import load
from bot.terminal.models import Machine, choose, lend, picked, profile, profile_of, verify
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


FAST = """
[trigger]
profile = "slow"
[profile]
qa = "opus"
[profiles.slow]
spec = "opus"
[profiles.fast]
spec = "haiku"
"""


@pytest.mark.parametrize(
    ("model", "named", "found"),
    [
        ("haiku", "", Profile("haiku", "haiku", "haiku", "haiku", "haiku")),
        ("", "fast", Profile(spec="haiku", qa="opus")),
        ("", "FILE", Profile(coding="haiku", qa="opus")),
        ("", "", Profile(spec="opus", qa="opus")),
    ],
)
def test_what_is_picked_wins_over_the_servers_default(tmp_path, model, named, found):
    config, file = tmp_path / "gatewright.toml", tmp_path / "mine.json"
    config.write_text(FAST)
    file.write_text('{"phaseModels": {"coding": "haiku"}}')
    overrides, _ = choose(model, config, machine(), str(file) if named == "FILE" else named)
    assert server_profile(load(config, overrides)) == found


def test_a_profile_is_found_by_name_or_read_from_a_file(tmp_path):
    settings = Settings(profile=ProfileTable(qa="haiku"), profiles={"fast": NamedProfile(spec="haiku")})
    assert profile_of("fast", settings) == Profile(spec="haiku", qa="haiku")
    (tmp_path / "mine.json").write_text('{"phaseModels": {"coding": "haiku"}}')
    assert profile_of(str(tmp_path / "mine.json"), settings) == Profile(coding="haiku", qa="haiku")


@pytest.mark.parametrize(
    ("model", "named", "code"),
    [("opus", "fast", "GW-RUN-MODELS"), ("", "fast", "GW-PROFILE-UNKNOWN"), ("", "not-here.json", "GW-PROFILE-FILE")],
)
def test_what_names_nothing_or_two_things_is_refused(model, named, code):
    with pytest.raises(UsageError) as caught:
        picked(model, named, Settings())
    assert caught.value.code == code


def test_a_model_that_policy_forbids_is_refused_before_anything_is_spent():
    rules = Settings(
        policy=Policy(allowed_models=("sonnet", "opus")),
        profiles={"fast": NamedProfile(coding="haiku")},
        trigger=Trigger(profile="fast"),
    )
    with pytest.raises(UsageError, match=r"haiku \(profiles.fast.coding = haiku\)") as caught:
        verify(rules, machine())
    assert caught.value.code == "GW-MODEL-POLICY"
