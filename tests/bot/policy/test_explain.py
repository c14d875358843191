"""Where each value of a policy comes from, and what became of each rule."""

from __future__ import annotations

import msgspec
import pytest

from bot.model.policy import Policy
from bot.model.ruling import Case, Outcome, Parts, Ruling, Tally
from bot.model.state import Gate
from bot.policy.explain import SETTINGS, GateSaid, Source, explained, flat, keys_in_force, keys_of
from bot.policy.narrow import narrow
from bot.policy.presets import fill, local
from bot.policy.rules import RULES, TALLIES

COMMIT = "4be1f0c2a9d3" + "0" * 28
SERVER = msgspec.convert(fill({"gate_days": 5, "plan": {"quorum": 2}, "verb_roles": {"ci": "maintain"}}), Policy)
TABLE = {"plan": {"quorum": 3}, "digest": "required", "verb_roles": {"cancel": "admin"}}
FILE = ".gatewright.toml at 4be1f0c2a9d3, last changed by account 12"


def source(policy: Policy, server: Policy = SERVER) -> Source:
    return Source(policy, server.sha256(), COMMIT, 12)


def case(gate: Gate, at_ms: int, policy: Policy) -> Case:
    return Case(gate, "decision", at_ms, "d" * 64, "d" * 64, 1, policy.sha256(), (), Parts(1, 1))


def ruling(*failed: str, passed: bool = False, is_emergency: bool = False) -> Ruling:
    outcomes = tuple(
        Outcome(name, name not in failed, f"{name} is not met" if name in failed else "") for name in RULES
    )
    return Ruling(passed, is_emergency, outcomes, (Tally(7, "42:1"), Tally(8, "42:2", "four_eyes")))


def test_the_policy_is_told_key_by_key():
    keys = flat(SERVER)
    assert keys["plan.quorum"] == 2
    assert keys["verb_roles.ci"] == "maintain"
    assert flat(Policy())["verb_roles"] == {}


def test_fallbacks_stay_whole_because_model_strings_hold_dots():
    policy = msgspec.convert(fill({"fallbacks": {"gpt-5.5": ["azure:gpt-5.5"]}}), Policy)
    assert flat(policy)["fallbacks"] == {"gpt-5.5": ("azure:gpt-5.5",)}
    assert {each.key: each.origin for each in keys_of(policy)}["fallbacks"] == SETTINGS


@pytest.mark.parametrize(
    ("key", "origin"),
    [
        ("gate_days", SETTINGS), ("plan.quorum", SETTINGS), ("verb_roles.ci", SETTINGS), ("spec.quorum", "preset team"),
        ("digest", "preset team"), ("preset", "preset team"),
    ],
)  # fmt: skip
def test_a_value_comes_from_the_preset_or_the_settings(key, origin):
    assert {each.key: each.origin for each in keys_of(SERVER)}[key] == origin


def test_what_differs_from_the_servers_comes_from_the_file_its_commit_and_whoever_changed_it():
    keys = keys_in_force(source(narrow(SERVER, TABLE).policy), SERVER, is_local=False)
    assert {key for key, said in keys.items() if said.origin == FILE} == {"plan.quorum", "digest", "verb_roles.cancel"}
    assert (keys["plan.quorum"].value, keys["gate_days"].origin, keys["spec.quorum"].origin) == (
        3,
        SETTINGS,
        "preset team",
    )


def test_a_pinned_file_is_named_with_its_project_and_an_unknown_hand_as_such():
    pinned = msgspec.structs.replace(SERVER, file_project="bank/policy")
    said = Source(pinned, pinned.sha256(), COMMIT).file
    assert said == (
        ".gatewright.toml of bank/policy at 4be1f0c2a9d3, last changed by an account that the forge does not name"
    )
    assert Source(pinned, pinned.sha256()).file == ""


def test_settings_that_changed_since_are_not_blamed_on_the_file():
    now = msgspec.structs.replace(SERVER, gate_days=9)
    keys = keys_in_force(source(narrow(SERVER, TABLE).policy), now, is_local=False)
    assert keys["gate_days"].origin == f"the settings as they were, or {FILE}"
    without = keys_in_force(Source(SERVER, SERVER.sha256()), now, is_local=False)
    assert (without["gate_days"].value, without["gate_days"].origin) == (5, "the settings as they were")


def test_what_a_local_task_leaves_out_is_said_to_be_so():
    keys = keys_in_force(Source(local(SERVER), SERVER.sha256()), SERVER, is_local=True)
    assert (keys["plan.quorum"].value, keys["plan.quorum"].origin) == (1, "a local task")
    assert keys["gate_days"].origin == SETTINGS


def said(*rulings: tuple[Case, Ruling], policy: Policy = SERVER) -> dict[Gate, GateSaid]:
    keys = keys_in_force(source(policy), SERVER, is_local=False)
    return {each.gate: each for each in explained(rulings, source(policy), keys)}


def test_a_gate_that_was_never_ruled_on_is_not_decided_yet():
    gates = said()
    assert set(gates) == set(Gate)
    for gate in gates.values():
        assert gate.result == "not decided yet"
        assert {rule.result for rule in gate.rules} == {"not decided yet"}
        assert [rule.rule for rule in gate.rules] == list(RULES)


def test_the_newest_ruling_of_a_gate_is_told_rule_by_rule():
    gate = said(
        (case(Gate.PLAN, 10, SERVER), ruling("quorum", "votes")),
        (case(Gate.PLAN, 20, SERVER), ruling("quorum")),
        (case(Gate.SPEC, 30, SERVER), ruling(passed=True)),
    )[Gate.PLAN]  # fmt: skip
    rules = {rule.rule: rule for rule in gate.rules}
    assert (gate.result, gate.at_ms, gate.moment, gate.is_current) == ("fail", 20, "decision", True)
    assert (rules["quorum"].result, rules["quorum"].why) == ("fail", "quorum is not met")
    assert (rules["votes"].result, rules["votes"].why) == ("pass", "")
    assert [(vote.person, vote.why) for vote in gate.votes] == [(7, ""), (8, TALLIES["four_eyes"])]


def test_a_rule_names_the_keys_of_its_own_gate_and_who_says_them():
    policy = narrow(SERVER, TABLE).policy
    rules = {rule.rule: rule for rule in said((case(Gate.PLAN, 20, policy), ruling()), policy=policy)[Gate.PLAN].rules}
    assert [(key.key, key.value, key.origin) for key in rules["quorum"].keys] == [
        ("plan.quorum", 3, FILE), ("delegations", (), "preset team"),
    ]  # fmt: skip
    votes = {key.key for key in rules["votes"].keys}
    assert {"plan.min_role", "min_role", "plan.not_by", "digest"} <= votes
    assert not {"spec.min_role", "change.not_by"} & votes


def test_every_key_that_a_rule_reads_is_a_key_of_the_policy():
    for gate in said().values():
        for rule in gate.rules:
            assert bool(rule.keys) == bool(RULES[rule.rule].keys), rule.rule


def test_a_broken_glass_waives_what_it_may_and_nothing_else():
    gate = said((case(Gate.CHANGE, 20, SERVER), ruling("quorum", "head", is_emergency=True)))[Gate.CHANGE]
    rules = {rule.rule: rule.result for rule in gate.rules}
    assert (rules["quorum"], rules["head"], rules["votes"]) == ("waived", "fail", "pass")
    assert gate.is_emergency


def test_a_ruling_under_an_earlier_policy_is_told_apart():
    assert not said((case(Gate.SPEC, 20, Policy()), ruling(passed=True)))[Gate.SPEC].is_current
