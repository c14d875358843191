"""The policy as a value: what it says of a gate, and the digest that approvals bind."""

from __future__ import annotations

import msgspec
import pytest

from bot.model.policy import BreakGlass, Delegation, GateRule, Policy
from bot.model.state import Gate

OTHER = {
    str: "other", int: 17, bool: True, tuple: ("x",), dict: {"ci": "admin"}, GateRule: GateRule(quorum=3),
    BreakGlass: BreakGlass(people=("user:1", "user:2")),
}  # fmt: skip


def test_each_gate_has_a_rule_of_its_own():
    rules = [GateRule(quorum=number) for number in range(1, 5)]
    policy = Policy(spec=rules[0], plan=rules[1], scope=rules[2], change=rules[3])
    assert [policy.rule(gate) for gate in (Gate.SPEC, Gate.PLAN, Gate.SCOPE, Gate.CHANGE)] == rules


@pytest.mark.parametrize("key", [field.name for field in msgspec.structs.fields(Policy)])
def test_no_key_is_left_out_of_the_digest(key: str):
    present = getattr(Policy(), key)
    changed = not present if isinstance(present, bool) else OTHER[type(present)]
    assert changed != present
    assert msgspec.structs.replace(Policy(), **{key: changed}).sha256() != Policy().sha256()


def test_equal_policies_have_one_digest():
    assert Policy().sha256() == msgspec.convert(msgspec.to_builtins(Policy()), Policy).sha256()
    away = Delegation(1, 2, "2026-01-01", "2026-01-31")
    assert Policy(delegations=(away,)).sha256() != Policy().sha256()


@pytest.mark.parametrize("name", ["mira", "@", "user:0", "user:x", "group:", "role:write", "owners:", "user:1\n"])
def test_an_approver_has_one_of_four_forms(name: str):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"approvers": [name]}, GateRule)


@pytest.mark.parametrize("name", ["@mira", "user:7", "group:4711", "owners"])
def test_the_four_forms(name: str):
    assert msgspec.convert({"approvers": [name]}, GateRule).approvers == (name,)
