"""Presets: what they say, what a table leaves to them, and which policies nobody could keep."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from itertools import product

import msgspec
import pytest

from bot.model.errors import UsageError
from bot.model.policy import BreakGlass, Delegation, GateRule, Policy
from bot.model.state import Gate
from bot.policy.presets import NAMES, fill, local, preset, problems
from tests.house.code import ROOT

NAMED = {gate.value: {"approvers": ["group:7"]} for gate in Gate}


def policy(**said: object) -> Policy:
    return msgspec.convert(fill(msgspec.to_builtins(said)), Policy)


def test_the_defaults_are_the_preset_team():
    assert preset("team") == Policy()


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_says_every_key_and_its_own_name(name):
    table = tomllib.loads((ROOT / "config" / f"{name}.toml").read_text("utf-8"))["policy"]
    assert table["preset"] == name
    assert set(table) == set(Policy.__struct_fields__)
    assert all(set(table[gate]) == set(GateRule.__struct_fields__) for gate in Gate)
    assert set(table["emergency"]) == set(BreakGlass.__struct_fields__)


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_explains_every_line_of_choice(name):
    text = (ROOT / "config" / f"{name}.toml").read_text("utf-8")
    assert text.count("#") > 15
    assert max(map(len, text.splitlines())) <= 120


def test_regulated_says_what_an_auditor_asks_for():
    regulated = preset("regulated")
    assert regulated.digest == "required"
    assert regulated.base == "equal"
    assert regulated.approver_ids
    assert regulated.membership_days == 30
    assert regulated.native_approval == "proven"
    assert regulated.outsiders == "refuse"
    assert regulated.ci == "hold"
    assert regulated.merge == "never"
    assert regulated.target_branch == "enforced"
    assert regulated.gate_days == 7
    assert not regulated.branch_titles
    assert regulated.exemptions == "ignored"


def test_regulated_takes_four_people_and_no_fewer():
    """Try all ways to hand out the parts: the only ones that work use four different people."""
    regulated = preset("regulated")
    works = set()
    for labeller, spec, plan, scope, change in product("abcd", repeat=5):
        played = {"labeller": labeller, "author": labeller, "spec": "", "plan": "", "writer": "", "committer": ""}
        for gate, person in (("spec", spec), ("plan", plan), ("scope", scope), ("change", change)):
            if person in {played.get(part, "") for part in regulated.rule(gate).not_by}:
                break
            played[gate] = person
        else:
            works.add((labeller, spec, plan, scope, change))
    assert {len({labeller, spec, plan, change}) for labeller, spec, plan, _, change in works} == {4}
    assert ("a", "b", "c", "b", "d") in works, "who approved the spec may decide scope findings"
    assert ("a", "b", "c", "c", "d") in works, "who approved the plan may decide scope findings"
    assert ("a", "b", "c", "a", "d") not in works, "the labeller may not"


def test_an_unknown_preset_lists_those_there_are():
    with pytest.raises(UsageError) as caught:
        preset("relaxed")
    assert (caught.value.code, caught.value.fix) == ("GW-POLICY-PRESET", "take one of: team, regulated")


def test_a_table_is_laid_over_its_preset_key_by_key():
    table = {
        "preset": "regulated",
        "gate_days": 3,
        "spec": {"quorum": 2},
        "verb_roles": {"retry": "admin"},
        "freeze": [],
    }
    filled = msgspec.convert(fill(table), Policy)
    assert filled.gate_days == 3
    assert filled.spec == msgspec.structs.replace(preset("regulated").spec, quorum=2)
    assert filled.plan == preset("regulated").plan
    assert filled.verb_roles == {**preset("regulated").verb_roles, "retry": "admin"}
    assert table == {"preset": "regulated", "gate_days": 3, "spec": {"quorum": 2}, "verb_roles": {"retry": "admin"},
                     "freeze": []}, "the table itself stays as it is"  # fmt: skip


def test_lists_replace_those_of_the_preset():
    assert policy(protected_paths=["x"]).protected_paths == ("x",)
    assert fill({"protected_paths": ["x"]})["preset"] == "team"
    assert preset("team").protected_paths != ("x",), "the preset is as before"


def test_a_preset_that_does_not_exist_is_left_for_the_types_to_refuse():
    for name in ("relaxed", ["team"], 3):
        with pytest.raises(msgspec.ValidationError, match=r"preset"):
            msgspec.convert(fill({"preset": name}), Policy)


def test_presets_can_be_kept_once_regulated_names_its_approvers():
    assert problems(preset("team")) == ()
    assert len(problems(preset("regulated"))) == len(Gate)
    assert problems(policy(preset="regulated", **NAMED)) == ()


AWAY = Delegation(1, 2, "2026-12-01", "2026-12-14")
SECOND = Delegation(2, 3, "2026-12-10", "2026-12-20")
THIRD = Delegation(3, 1, "2026-12-14", "2026-12-15")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"approver_ids": True}, "policy.spec.approvers names nobody"),
        ({"approver_ids": True, **NAMED, "plan": {"approvers": ["user:3", "@anna"]}}, "plan.approvers holds @anna"),
        ({"scope": {"quorum": 2, "approvers": ["user:3"]}}, "policy.scope.quorum is 2"),
        ({"scope": {"quorum": 2, "approvers": ["user:3", "user:3"]}}, "policy.scope.approvers names 1"),
        ({"spec": {"approvers": ["owners"]}}, "policy.spec.approvers names owners alone"),
        ({"verb_roles": {"aprove": "admin"}}, "policy.verb_roles.aprove is no verb"),
        ({"freeze": ["sometimes"]}, "policy.freeze: 'sometimes' is no freeze window"),
        ({"emergency": {"people": ["user:1"]}}, "policy.emergency.people names fewer than 2"),
        ({"emergency": {"people": ["user:1", "user:1"]}}, "policy.emergency.people names fewer than 2"),
        ({"emergency": {"people": ["user:1", "owners"]}}, "policy.emergency.people holds owners"),
        ({"approver_ids": True, **NAMED, "emergency": {"people": ["@a", "@b"]}}, "emergency.people holds @a, @b"),
        ({"delegations": (msgspec.structs.replace(AWAY, until="2026-11-30"),)}, "delegations[0] ends before it begins"),
        ({"delegations": (msgspec.structs.replace(AWAY, since="2026-02-30"),)}, "delegations[0] holds a day that"),
        ({"delegations": (msgspec.structs.replace(AWAY, to=1),)}, "policy.delegations lead back"),
        ({"delegations": (AWAY, SECOND, THIRD)},
         "on 2026-12-14: 1, 2, 3"),
        ({"delegations": (AWAY, msgspec.structs.replace(AWAY, to=3), Delegation(2, 1, "2026-12-02", "2026-12-03"))},
         "policy.delegations lead back"),
        ({"file_ref": "main"}, "policy.file_ref names a branch of no project"),
    ],
)  # fmt: skip
def test_what_nobody_could_keep_is_named_by_its_key(said, words):
    found = problems(policy(**said))
    assert any(words in each for each in found), found


@pytest.mark.parametrize(
    "said",
    [
        {"scope": {"quorum": 2, "approvers": ["user:3", "group:4"]}},
        {"spec": {"approvers": ["owners", "user:1"]}, "change": {"approvers": ["owners"], "quorum": 3}},
        {"emergency": {"people": ["group:4"]}},
        {"emergency": {"people": ["user:1", "@b"]}},
        {"delegations": (AWAY, Delegation(2, 1, "2026-12-15", "2026-12-20"))},  # back, but later
        {"delegations": (AWAY, Delegation(2, 3, "2026-12-01", "2026-12-14"))},  # a chain
        {"file_project": "bank/policy", "file_ref": "main"},
        {"verb_roles": {"status": "write", "ci": "admin"}},
    ],
)
def test_what_people_can_keep_has_no_problems(said):
    assert problems(policy(**said)) == ()


def test_one_person_at_a_terminal_can_keep_what_is_left_of_any_policy():
    strict = policy(
        preset="regulated", **NAMED, emergency={"people": ["user:1", "user:2"]}, delegations=(AWAY,),
        file_project="bank/policy", file_ref="main", protected_paths=["secret/**"], freeze=["Fri 16:00/Mon 08:00 UTC"],
    )  # fmt: skip
    alone = local(strict)
    assert problems(alone) == ()
    for gate in Gate:
        rule = alone.rule(gate)
        assert (rule.approvers, rule.quorum, rule.not_by) == ((), 1, ())
    assert (alone.digest, alone.approver_ids, alone.membership_days) == ("optional", False, 0)
    assert (alone.ci, alone.target_branch, alone.file_project, alone.file_ref) == ("run", "advisory", "", "")
    assert (alone.emergency, alone.delegations) == (BreakGlass(), ())
    for key in (
        "protected_paths",
        "max_diff_lines",
        "max_diff_files",
        "freeze",
        "gate_days",
        "base",
        "merge",
        "min_role",
    ):
        assert getattr(alone, key) == getattr(strict, key), key


def test_the_presets_lie_in_the_wheel(tmp_path):
    """Install what is built, away from the checkout, and read a preset there."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(installed)
    program = "import bot.policy.presets as p; print(p.__file__); print(p.preset('regulated').ci)"
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env={"PYTHONPATH": str(installed)}, check=True,
        capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    assert said == [str(installed / "bot" / "policy" / "presets.py"), "hold"]
