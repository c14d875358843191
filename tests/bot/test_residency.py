"""Which models policy lets be used where, and which may stand in: by a table, and by a property told in other words."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.model.errors import Refused
from bot.model.policy import Policy
from bot.model.task import Profile
from bot.model.team import Team
from bot.residency import (
    check_model,
    check_profile,
    check_residency,
    configured,
    residency_of,
    route_of,
    stand_ins,
    unfit,
)
from bot.settings import NamedProfile, ProviderTable, Settings

TABLES: dict[str, Any] = {
    "providers": {
        "claude": ProviderTable(residency="us"),
        "bedrock": ProviderTable(residency="eu"),
        "azure": ProviderTable(residency="eu"),
        "ollama": ProviderTable(residency="here"),
    },
    "endpoints": {"gpu": ProviderTable(residency="eu"), "bare": ProviderTable()},
}
HERE = Settings(**TABLES)
NOWHERE = Settings()  # of a control whose workers have the tables
WHERE = {
    "sonnet": "us", "opus": "us", "bedrock:a": "eu", "azure:a": "eu", "gpu:q": "eu", "ollama:q": "here", "bare:q": "",
    "gpt-5.5": "",
}  # fmt: skip
CERTIFIED = {"sonnet", "opus", "bedrock:a", "azure:a", "gpt-5.5"}


def code(policy: Policy, model: str, here: Settings = HERE) -> str:
    try:
        check_model(policy, here, model)
    except Refused as error:
        return error.code
    return ""


@pytest.mark.parametrize(("model", "place"), WHERE.items())
def test_a_model_is_where_its_providers_table_says(model: str, place: str):
    assert residency_of(route_of(model, HERE), HERE) == place


@pytest.mark.parametrize(
    ("model", "own", "place"),
    [
        ("opencode:gpu/q", "", "eu"), ("opencode:openai/q", "", "far"), ("opencode:anthropic/q", "", ""),
        ("opencode:openai/q", "https://models.example/v1", "claimed"),
    ],
)  # fmt: skip
def test_opencode_is_where_its_calls_end_up(model: str, own: str, place: str):
    providers = {
        **TABLES["providers"],
        "opencode": ProviderTable(base_url=own, residency="claimed"),
        "openai": ProviderTable(residency="far"),
    }
    here = Settings(**{**TABLES, "providers": providers})
    assert residency_of(route_of(model, here), here) == place


@pytest.mark.parametrize(
    ("policy", "model", "refused"),
    [
        ({}, "sonnet", ""), ({}, "nonsense", "GW-MODEL-FORM"), ({}, "olama:q", "GW-MODEL-FORM"),
        ({}, "gpu:", "GW-MODEL-FORM"),
        ({"allowed_models": ("opus",)}, "sonnet", "GW-MODEL-POLICY"), ({"allowed_models": ("s*",)}, "sonnet", ""),
        ({"require_tier": "enterprise-certified"}, "bedrock:a", ""),
        ({"require_tier": "enterprise-certified"}, "gpt-5.5", ""),
        ({"require_tier": "enterprise-certified"}, "gpu:q", "GW-MODEL-TIER"),
        ({"require_tier": "enterprise-certified"}, "openai:gpt-5.5", "GW-MODEL-TIER"),
        ({"residency": ("eu",)}, "gpu:q", ""), ({"residency": ("eu",)}, "sonnet", "GW-MODEL-RESIDENCY"),
        ({"residency": ("eu", "us")}, "sonnet", ""), ({"residency": ("eu",)}, "bare:q", "GW-MODEL-RESIDENCY"),
        ({"residency": ("eu",)}, "gpt-5.5", "GW-MODEL-RESIDENCY"),
    ],
)  # fmt: skip
def test_each_rule_refuses_by_its_own_code(policy: dict[str, Any], model: str, refused: str):
    assert code(Policy(**policy), model) == refused


def test_a_refusal_names_what_would_do():
    some = Settings(**TABLES, profiles={"near": NamedProfile(coding="gpu:q", qa="bedrock:a")})
    for policy, fix in (
        (Policy(require_tier="enterprise-certified"), "these would do: sonnet, opus, bedrock:a"),
        (Policy(residency=("eu",)), "these would do: gpu:q, bedrock:a"),
        (Policy(residency=("eu",), require_tier="enterprise-certified"), "these would do: bedrock:a"),
        (Policy(residency=("mars",)), "none of the configured models would do"),
    ):
        with pytest.raises(Refused) as caught:
            check_model(policy, some, "ollama:q")
        assert caught.value.fix == fix


def test_control_without_tables_leaves_endpoints_and_residency_to_the_worker_and_nothing_else():
    assert code(Policy(residency=("eu",)), "their-gpu:q", NOWHERE) == ""
    assert code(Policy(residency=("eu",)), "sonnet", NOWHERE) == ""
    assert code(Policy(require_tier="enterprise-certified"), "their-gpu:q", NOWHERE) == "GW-MODEL-TIER"
    assert code(Policy(allowed_models=("sonnet",)), "their-gpu:q", NOWHERE) == "GW-MODEL-POLICY"
    for model in ("nonsense", "openai:", "opencode:x", "Not A Name:q", ":q"):
        assert code(Policy(), model, NOWHERE) == "GW-MODEL-FORM"


def test_a_worker_takes_what_is_not_said_for_outside():
    with pytest.raises(Refused) as caught:
        check_residency(Policy(residency=("eu",)), NOWHERE, "sonnet", route_of("sonnet", NOWHERE))
    assert caught.value.why == "policy.residency names eu, and providers.claude.residency is not set"


def test_a_profile_is_refused_with_the_phase():
    policy = Policy(allowed_models=("sonnet",))
    with pytest.raises(Refused, match=r"opus \(for planning\)") as caught:
        check_profile(lambda model: check_model(policy, HERE, model), Profile())
    assert caught.value.code == "GW-MODEL-POLICY"


def test_the_settings_own_profiles_are_gone_through_key_by_key():
    policy = Policy(allowed_models=("opus", "gpu:*"))
    some = Settings(**TABLES, policy=policy, profiles={"near": NamedProfile(coding="gpu:q", qa="bedrock:a")})
    assert [(place, error.code) for place, error in unfit(some)] == [
        (key, "GW-MODEL-POLICY") for key in ("profile.spec", "profile.coding", "profile.qa", "profile.qa_fixer",
                                             "profiles.near.qa")
    ]  # fmt: skip
    assert configured(some) == ("sonnet", "opus", "gpu:q", "bedrock:a")


STAND_INS = [
    ({}, None, "sonnet", ()),
    ({"sonnet": ("opus",)}, None, "sonnet", ("opus",)),
    ({"sonnet": ("opus", "opus", "sonnet")}, None, "sonnet", ("opus",)),
    ({"sonnet": ("bedrock:a", "opus")}, None, "sonnet", ("opus",)),
    ({"bedrock:a": ("azure:a", "gpu:q", "ollama:q")}, None, "bedrock:a", ("azure:a", "gpu:q")),
    ({"bedrock:a": ("azure:a",)}, None, "azure:a", ()),
    ({"bedrock:a": ("nonsense", "gpu:q")}, None, "bedrock:a", ("gpu:q",)),
    ({"bedrock:a": ("azure:a", "gpu:q")}, Team(models=("gpu:*",)), "bedrock:a", ("gpu:q",)),
]


@pytest.mark.parametrize(("said", "team", "model", "found"), STAND_INS)
def test_who_stands_in(said: dict[str, tuple[str, ...]], team: Team | None, model: str, found: tuple[str, ...]):
    assert stand_ins(Policy(fallbacks=said), HERE, model, team) == found


def test_who_stands_in_is_held_to_what_policy_asks():
    said = {"bedrock:a": ("gpu:q", "azure:a")}
    tier = Policy(fallbacks=said, require_tier="enterprise-certified")
    assert stand_ins(tier, HERE, "bedrock:a") == ("azure:a",)
    assert stand_ins(Policy(fallbacks=said, allowed_models=("b*", "g*")), HERE, "bedrock:a") == ("gpu:q",)


NAMES = st.sampled_from([*WHERE, "nonsense"])
GLOBS = st.lists(st.sampled_from(["*", "sonnet", "bedrock:*", "g*", "ollama:*"]), max_size=3)


@settings(max_examples=400)
@given(
    model=st.sampled_from(list(WHERE)), others=st.lists(NAMES, max_size=6), allowed=GLOBS, team=GLOBS,
    tier=st.sampled_from(["", "enterprise-certified"]), residency=st.lists(st.sampled_from(["eu", "us"]), max_size=2),
)  # fmt: skip
def test_nothing_ever_stands_in_from_elsewhere_or_against_policy(
    model: str, others: list[str], allowed: list[str], team: list[str], tier: Any, residency: list[str]
):
    policy = Policy(
        fallbacks={model: tuple(others)}, allowed_models=tuple(allowed), require_tier=tier, residency=tuple(residency)
    )
    found = stand_ins(policy, HERE, model, Team(models=tuple(team)))
    assert len(set(found)) == len(found)
    for other in found:
        assert other in others
        assert other != model
        assert WHERE[other] == WHERE[model]
        assert not residency or WHERE[other] in residency
        assert not allowed or any(fnmatchcase(other, glob) for glob in allowed)
        assert not team or any(fnmatchcase(other, glob) for glob in team)
        assert not tier or other in CERTIFIED
