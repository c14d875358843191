"""docs/governance.md is the auditor's map: every rule and every key of policy stands there, and nothing that is not."""

from __future__ import annotations

import re
from typing import get_args

import msgspec

from bot.audit.kinds import KINDS
from bot.model.policy import BreakGlass, Delegation, GateRule, Policy
from bot.model.ruling import Case, Moment, Parts, Ruling, Vote
from bot.model.state import Gate
from bot.policy.rules import RULES, TALLIES
from tests.house.code import ROOT

PAGE = (ROOT / "docs" / "governance.md").read_text(encoding="utf-8")
KEYS = {
    field.encode_name for kind in (Policy, GateRule, BreakGlass, Delegation) for field in msgspec.structs.fields(kind)
}


def rows(heading: str) -> list[list[str]]:
    """Read the first table below a line that begins so."""
    lines = PAGE[PAGE.index(heading) :].splitlines()
    table = next(number for number, line in enumerate(lines) if line.startswith("|"))
    found = []
    for line in lines[table:]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found[2:]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_rule_is_mapped_and_no_other() -> None:
    assert [words(row[0])[0] for row in rows("## Rules of a ruling")] == list(RULES)


def test_rules_say_whether_the_glass_waives_them() -> None:
    assert {words(row[0])[0]: "*waived*" in row[1] for row in rows("## Rules of a ruling")} == {
        name: rule.is_waived for name, rule in RULES.items()
    }


def test_rules_name_the_keys_that_they_read() -> None:
    for row in rows("## Rules of a ruling"):
        name = words(row[0])[0]
        if name != "votes":  # its keys stand one by one in the table of votes
            assert set(words(row[2])) == set(RULES[name].keys), name
    assert set(RULES["votes"].keys) <= {key for row in rows("Why one vote") for key in words(row[2])}


def test_every_reason_why_a_vote_does_not_count_is_mapped_in_order() -> None:
    assert [words(row[0])[0] for row in rows("Why one vote")] == list(TALLIES)


def test_every_key_of_policy_is_mapped_and_no_other() -> None:
    table = rows("## Policy keys")
    named = {word for row in table for word in words(row[0])}
    top = {field.encode_name for field in msgspec.structs.fields(Policy)}
    assert named == top
    assert {word for row in table for cell in row[:2] for word in words(cell)} == KEYS


def test_records_and_fields_that_are_named_exist() -> None:
    inner = {f"case.{field.encode_name}" for field in msgspec.structs.fields(Case)}
    inner |= {f"case.votes.{field.encode_name}" for field in msgspec.structs.fields(Vote)}
    inner |= {f"ruling.{field.encode_name}" for field in msgspec.structs.fields(Ruling)}
    fields = {field.encode_name for kind in KINDS.values() for field in msgspec.structs.fields(kind)}
    known = set(KINDS) | fields | inner | KEYS | {gate.value for gate in Gate} | {"merge", *get_args(Moment)}
    tables = [("## Rules of a ruling", 3), ("Why one vote", 3), ("## Policy keys", 2), ("## What voids", 1)]
    for heading, column in tables:
        for row in rows(heading):
            assert set(words(row[column])) <= known, row
    parts = {field.encode_name for field in msgspec.structs.fields(Parts)}
    paragraph = PAGE[PAGE.index("Parts: ") : PAGE.index("## Policy keys")]
    assert parts <= set(words(paragraph))
