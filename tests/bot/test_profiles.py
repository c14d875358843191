"""The profiles of the settings: what is left out, and what a task that chooses nothing gets."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bot.model.errors import UsageError
from bot.model.profile import Choice
from bot.model.task import Profile
from bot.profiles import chosen, keys_of, named_profile, server_profile
from bot.settings import NamedProfile, ProfileTable, Settings, Trigger

SETTINGS = Settings(
    profile=ProfileTable(qa="haiku"), profiles={"fast": NamedProfile(coding="haiku"), "deep": NamedProfile(spec="opus")}
)


def test_phases_that_a_named_one_leaves_out_are_those_of_the_plain_one():
    assert named_profile(SETTINGS, "fast") == Profile(coding="haiku", qa="haiku")


def test_the_default_is_the_plain_one_unless_the_settings_name_another():
    assert server_profile(SETTINGS) == Profile(qa="haiku")
    assert server_profile(replace(SETTINGS, trigger=Trigger(profile="deep"))) == Profile(spec="opus", qa="haiku")


def test_a_name_replaces_and_phases_are_laid_over():
    now = Profile(spec="opus")
    assert chosen(SETTINGS, Choice(), now) == now
    assert chosen(SETTINGS, Choice(models={"coding": "opus"}), now) == Profile(spec="opus", coding="opus")
    assert chosen(SETTINGS, Choice(name="fast"), now) == named_profile(SETTINGS, "fast")


def test_a_name_that_there_is_not_is_refused_with_those_there_are():
    with pytest.raises(UsageError, match="no profile slow") as caught:
        chosen(SETTINGS, Choice(name="slow"), Profile())
    assert (caught.value.code, caught.value.why) == ("GW-PROFILE-UNKNOWN", "there are: deep, fast")


def test_every_model_that_a_task_can_get_has_its_key():
    keys = keys_of(SETTINGS)
    assert (keys["profiles.fast.coding"], keys["profiles.deep.spec"], keys["profile.qa"]) == ("haiku", "opus", "haiku")
    assert "profiles.fast.qa" not in keys, "it is the plain one's"


def test_a_plain_profile_that_nothing_falls_back_to_is_no_matter():
    whole = NamedProfile(spec="a", planning="a", coding="a", qa="a", qa_fixer="a")
    keys = keys_of(Settings(profiles={"all": whole}, trigger=Trigger(profile="all")))
    assert set(keys) == {f"profiles.all.{phase}" for phase in ("spec", "planning", "coding", "qa", "qa_fixer")}
