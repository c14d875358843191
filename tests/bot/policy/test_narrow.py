"""A repository's file makes the policy stricter or is refused, key by key."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bot.model.policy import GateRule, Policy
from bot.model.state import Gate
from bot.policy.narrow import GATE, TOP, narrow
from bot.policy.presets import fill, preset, problems
from bot.policy.repository import PolicyFileError

SERVERS_ONLY = {"preset", "emergency", "delegations", "file_project", "file_ref"}
MODELS = ["sonnet", "opus", "claude-x", "ollama:qwen3:14b", "bedrock:a", "bedrock:b", "b", "x[y]z"]


def policy(**said: Any) -> Policy:
    return msgspec.convert(fill(said), Policy)


def refused(server: Policy, table: dict[str, Any]) -> dict[str, str]:
    """Name what was refused, having seen that nothing else happened."""
    narrowed = narrow(server, table)
    assert narrowed.policy == server
    assert narrowed.taken == ()
    return {refusal.key: refusal.why for refusal in narrowed.refused}


def test_every_key_of_the_policy_has_its_way():
    gates = {gate.value for gate in Gate}
    assert set(TOP) | SERVERS_ONLY | gates | {"verb_roles"} == set(Policy.__struct_fields__)
    assert set(GATE) == set(GateRule.__struct_fields__)


def test_an_empty_table_changes_nothing():
    narrowed = narrow(preset("team"), {})
    assert (narrowed.policy, narrowed.taken, narrowed.refused) == (Policy(), (), ())


def test_what_the_server_says_as_well_is_neither_taken_nor_refused():
    server = policy(gate_days=5, approver_ids=False, allowed_models=["sonnet"], spec={"approvers": ["user:1"]})
    table = {"gate_days": 5, "approver_ids": False, "allowed_models": ["sonnet"], "spec": {"approvers": ["user:1"]}}
    narrowed = narrow(server, {**table, "preset": "team", "emergency": {"people": []}, "file_ref": ""})
    assert (narrowed.policy, narrowed.taken, narrowed.refused) == (server, (), ())


STRICTER = [
    ("trigger_role", "write", "admin"),
    ("min_role", "maintain", "admin"),
    ("digest", "optional", "required"),
    ("base", "ancestor", "equal"),
    ("gate_days", 14, 3),
    ("late_minutes", 15, 5),
    ("native_approval", "counts", "proven"),
    ("native_approval", "proven", "ignored"),
    ("membership_days", 0, 30),
    ("outsiders", "fence", "refuse"),
    ("confidential_issues", "where_private", "refuse"),
    ("branch_titles", True, False),
    ("merge", "on_approval", "never"),
    ("ci", "run", "hold"),
    ("target_branch", "advisory", "enforced"),
    ("exemptions", "count", "ignored"),
    ("max_diff_lines", 500, 499),
    ("max_diff_files", 50, 1),
    ("max_open_changes", 2, 1),
    ("require_tier", "", "enterprise-certified"),
    ("residency", [], ["eu"]),
    ("fallbacks", {"opus": ["bedrock:a"]}, {}),
]


@pytest.mark.parametrize(("key", "lax", "strict"), STRICTER)
def test_towards_the_stricter_end_a_value_is_taken_and_back_it_is_refused(key, lax, strict):
    narrowed = narrow(policy(**{key: lax}), {key: strict})
    assert getattr(narrowed.policy, key) == getattr(policy(**{key: strict}), key)
    assert (narrowed.taken, narrowed.refused) == ((key,), ())
    assert f"policy.{key}" in refused(policy(**{key: strict}), {key: lax})


def test_every_single_value_is_tried_both_ways():
    tried = {key for key, _, _ in STRICTER} | {"approver_ids", "protected_paths", "allowed_models", "freeze"}
    assert tried == set(TOP)


def test_approver_ids_are_taken_where_gates_name_ids():
    named = {gate.value: {"approvers": ["user:1"]} for gate in Gate}
    assert narrow(policy(**named), {"approver_ids": True}).policy.approver_ids
    assert "policy.approver_ids" in refused(policy(approver_ids=True, **named), {"approver_ids": False})


@pytest.mark.parametrize("gate", [gate.value for gate in Gate])
def test_a_gate_takes_stronger_rules_one_by_one(gate):
    server = policy(**{gate: {"quorum": 2, "min_role": "maintain", "not_by": ["author"]}})
    narrowed = narrow(server, {gate: {"quorum": 3, "min_role": "write", "not_by": ["labeller", "author"]}})
    assert narrowed.policy.rule(gate) == GateRule((), 3, "maintain", ("author", "labeller"))
    assert narrowed.taken == (f"{gate}.quorum", f"{gate}.not_by")
    assert [refusal.key for refusal in narrowed.refused] == [f"policy.{gate}.min_role"]
    assert f"policy.{gate}.quorum" in refused(server, {gate: {"quorum": 1}})
    assert refused(server, {gate: {"not_by": []}}) == {}, "a list adds to the server's"


@pytest.mark.parametrize(
    ("held", "asked", "left", "why"),
    [
        ([], ["@anna", "@anna", "user:2"], ("@anna", "user:2"), ""),
        (["user:1", "user:2"], ["user:2"], ("user:2",), ""),
        (["user:1", "user:2"], ["user:2", "user:3"], ("user:2",), "the server does not name user:3"),
        (["user:1"], ["user:3"], ("user:1",), "the file none of them"),
        (["user:1"], [], ("user:1",), "the file none of them"),
        (["owners", "group:1"], ["owners"], ("owners",), ""),
        (["owners", "group:1"], ["group:1"], ("owners", "group:1"), "the server asks for owners"),
        (["group:1"], ["owners", "group:1"], ("group:1",), "the server does not name owners"),
    ],
)
def test_approvers_are_some_of_those_whom_the_server_names(held, asked, left, why):
    narrowed = narrow(policy(change={"approvers": held}), {"change": {"approvers": asked}})
    assert narrowed.policy.change.approvers == left
    assert why in "".join(refusal.why for refusal in narrowed.refused)
    assert bool(why) == bool(narrowed.refused)


def test_lists_of_paths_and_windows_only_grow():
    server = policy(protected_paths=["a", "b"], freeze=["Fri 16:00/Mon 08:00 UTC"])
    narrowed = narrow(server, {"protected_paths": ["c", "a"], "freeze": ["2026-12-20T00:00Z/2027-01-05T00:00Z"]})
    assert narrowed.policy.protected_paths == ("a", "b", "c")
    assert narrowed.policy.freeze == (*server.freeze, "2026-12-20T00:00Z/2027-01-05T00:00Z")
    assert refused(server, {"protected_paths": [], "freeze": []}) == {}


@pytest.mark.parametrize(
    ("held", "asked", "left", "why"),
    [
        ([], ["sonnet"], ("sonnet",), ""),
        ([], [], (), ""),
        (["sonnet", "opus"], ["opus"], ("opus",), ""),
        (["bedrock:*"], ["bedrock:a", "sonnet"], ("bedrock:a",), "the server does not allow sonnet"),
        (["bedrock:*"], ["sonnet"], ("bedrock:*",), "the server does not allow sonnet"),
        (["bedrock:*"], [], ("bedrock:*",), "the file none"),
        (["bedrock:*"], ["bedrock:a*"], ("bedrock:a*",), ""),
        (["bedrock:*"], ["*"], ("bedrock:*",), "the server does not allow *"),
        (["a?"], ["a*"], ("a?",), "the server does not allow a*"),
        (["[!b]*"], ["*"], ("[!b]*",), "the server does not allow *"),
        (["*]"], ["x[ab]"], ("*]",), "the server does not allow x[ab]"),
        (["a?"], ["a?", "ab"], ("a?", "ab"), ""),
    ],
)
def test_models_are_some_of_those_that_the_server_allows(held, asked, left, why):
    narrowed = narrow(policy(allowed_models=held), {"allowed_models": asked})
    assert narrowed.policy.allowed_models == left
    assert why in "".join(refusal.why for refusal in narrowed.refused)
    assert bool(why) == bool(narrowed.refused)


@pytest.mark.parametrize(
    ("held", "asked", "left", "why"),
    [
        ([], ["eu", "eu", "ch"], ("eu", "ch"), ""),
        ([], [], (), ""),
        (["eu", "ch"], ["ch"], ("ch",), ""),
        (["eu", "ch"], ["ch", "us"], ("ch",), "the server does not name us"),
        (["eu"], ["us"], ("eu",), "the server does not name us"),
        (["eu"], [], ("eu",), "the file none"),
    ],
)
def test_classes_of_residency_are_some_of_the_servers(held, asked, left, why):
    narrowed = narrow(policy(residency=held), {"residency": asked})
    assert narrowed.policy.residency == left
    assert why in "".join(refusal.why for refusal in narrowed.refused)
    assert bool(why) == bool(narrowed.refused)


@pytest.mark.parametrize(
    ("held", "asked", "left", "why"),
    [
        ({"opus": ["a", "b"]}, {"opus": ["b"]}, {"opus": ("b",)}, ""),
        ({"opus": ["a", "b"]}, {"opus": ["b", "b", "a"]}, {"opus": ("b", "a")}, ""),
        ({"opus": ["a"], "sonnet": ["b"]}, {"sonnet": ["b"]}, {"sonnet": ("b",)}, ""),
        ({"opus": ["a"]}, {"opus": []}, {"opus": ()}, ""),
        ({"opus": ["a"]}, {"opus": ["a", "c"]}, {"opus": ("a",)}, "the server does not name c for opus"),
        ({"opus": ["a"]}, {"opus": ["a"], "haiku": ["a"]}, {"opus": ("a",)}, "the server does not name a for haiku"),
        ({}, {"opus": ["a"]}, {}, "the server does not name a for opus"),
    ],
)
def test_fallbacks_are_only_dropped(held, asked, left, why):
    narrowed = narrow(policy(fallbacks=held), {"fallbacks": asked})
    assert narrowed.policy.fallbacks == left
    assert why in "".join(refusal.why for refusal in narrowed.refused)
    assert bool(why) == bool(narrowed.refused)


def test_verbs_take_stronger_roles_than_the_server_gives_them():
    server = policy(min_role="maintain", verb_roles={"ci": "admin"})
    narrowed = narrow(
        server, {"verb_roles": {"ci": "maintain", "cancel": "admin", "retry": "write", "fix": "maintain"}}
    )
    assert narrowed.policy.verb_roles == {"ci": "admin", "cancel": "admin"}
    assert narrowed.taken == ("verb_roles.cancel",)
    assert [refusal.key for refusal in narrowed.refused] == ["policy.verb_roles.ci", "policy.verb_roles.retry"]


@pytest.mark.parametrize(
    "table",
    [
        {"preset": "regulated"},
        {"emergency": {"people": ["user:1", "user:2"]}},
        {"emergency": {"review_days": 90}},
        {"delegations": [{"person": 1, "to": 2, "since": "2026-12-01", "until": "2026-12-02"}]},
        {"file_project": "me/mine"},
        {"file_ref": "topic"},
    ],
)
def test_some_keys_are_the_servers_alone(table):
    assert set(refused(Policy(), table).values()) == {"only the server's settings say this"}


@pytest.mark.parametrize(
    ("server", "table", "words"),
    [
        ({}, {"approver_ids": True}, "names nobody"),
        ({}, {"spec": {"approvers": ["user:1"], "quorum": 2}}, "policy.spec.quorum is 2"),
        ({"spec": {"approvers": ["user:1", "user:2"], "quorum": 2}}, {"spec": {"approvers": ["user:1"]}}, "names 1"),
        ({}, {"freeze": ["sometimes"]}, "'sometimes' is no freeze window"),
        ({}, {"verb_roles": {"aprove": "admin"}}, "is no verb"),
        ({}, {"gate_days": 0}, "Expected"),
        ({}, {"gatedays": 1}, "unknown field"),
    ],
)
def test_what_nobody_could_keep_is_an_error_of_the_file(server, table, words):
    with pytest.raises(PolicyFileError) as caught:
        narrow(policy(**server), table)
    assert words in caught.value.why


# The property, told by other means than the code's: what each policy lets happen.

ROLE = st.sampled_from(["write", "maintain", "admin"])
PEOPLE = st.lists(st.sampled_from(["user:1", "user:2", "@anna", "group:5", "owners"]), max_size=4)
PARTS = st.lists(st.sampled_from(["labeller", "author", "writer", "committer", "spec", "plan"]), max_size=4)
GLOBS = st.lists(
    st.sampled_from(["sonnet", "*", "bedrock:*", "bedrock:?", "b*", "[bs]*", "claude-*", "x[y]z", "*z"]), max_size=3
)
RULE = st.fixed_dictionaries(
    {}, optional={"approvers": PEOPLE, "quorum": st.integers(1, 4), "min_role": ROLE, "not_by": PARTS}
)
TABLE = st.fixed_dictionaries(
    {},
    optional={
        "trigger_role": ROLE, "min_role": ROLE, "spec": RULE, "plan": RULE, "scope": RULE, "change": RULE,
        "verb_roles": st.dictionaries(st.sampled_from(["ci", "cancel", "retry"]), ROLE, max_size=3),
        "digest": st.sampled_from(["optional", "required"]), "base": st.sampled_from(["ancestor", "equal"]),
        "gate_days": st.integers(1, 20), "late_minutes": st.integers(1, 30),
        "native_approval": st.sampled_from(["counts", "proven", "ignored"]), "approver_ids": st.booleans(),
        "membership_days": st.integers(0, 40), "outsiders": st.sampled_from(["fence", "refuse"]),
        "confidential_issues": st.sampled_from(["refuse", "where_private"]), "branch_titles": st.booleans(),
        "merge": st.sampled_from(["never", "on_approval"]), "ci": st.sampled_from(["run", "hold"]),
        "target_branch": st.sampled_from(["advisory", "enforced"]),
        "exemptions": st.sampled_from(["count", "ignored"]),
        "protected_paths": st.lists(st.sampled_from(["a", "b", "c"]), max_size=3),
        "max_diff_lines": st.integers(1, 3000), "max_diff_files": st.integers(1, 200),
        "max_open_changes": st.integers(1, 20), "allowed_models": GLOBS,
        "require_tier": st.sampled_from(["", "enterprise-certified"]),
        "residency": st.lists(st.sampled_from(["eu", "ch", "us"]), max_size=3),
        "fallbacks": st.dictionaries(
            st.sampled_from(["opus", "sonnet"]), st.lists(st.sampled_from(MODELS), max_size=3), max_size=2
        ),
        "freeze": st.lists(st.sampled_from(["Fri 16:00/Mon 08:00 UTC", "Wed 09:00/Wed 10:00 UTC"]), max_size=2),
        "preset": st.sampled_from(["team", "regulated"]),
        "emergency": st.just({"people": ["user:8", "user:9"]}), "file_project": st.sampled_from(["", "a/b"]),
    },
)  # fmt: skip
STRENGTH = {"write": 1, "maintain": 2, "admin": 3}


def is_at_least_as_strict(a: Policy, b: Policy) -> bool:
    """Tell whether `a` lets nothing happen that `b` does not."""
    verbs = {*a.verb_roles, *b.verb_roles}
    native = ["counts", "proven", "ignored"]
    return all((
        STRENGTH[a.trigger_role] >= STRENGTH[b.trigger_role],
        STRENGTH[a.min_role] >= STRENGTH[b.min_role],
        all(asks(a, verb) >= asks(b, verb) for verb in verbs),
        all(is_gate_as_strict(a.rule(gate), b.rule(gate)) for gate in Gate),
        a.digest == "required" or b.digest == "optional",
        a.base == "equal" or b.base == "ancestor",
        a.gate_days <= b.gate_days and a.late_minutes <= b.late_minutes,
        native.index(a.native_approval) >= native.index(b.native_approval),
        (a.approver_ids or not b.approver_ids) and a.membership_days >= b.membership_days,
        a.outsiders == "refuse" or b.outsiders == "fence",
        a.confidential_issues == "refuse" or b.confidential_issues == "where_private",
        not a.branch_titles or b.branch_titles,
        a.merge == "never" or b.merge == "on_approval",
        a.ci == "hold" or b.ci == "run",
        a.target_branch == "enforced" or b.target_branch == "advisory",
        a.exemptions == "ignored" or b.exemptions == "count",
        set(a.protected_paths) >= set(b.protected_paths),
        a.max_diff_lines <= b.max_diff_lines and a.max_diff_files <= b.max_diff_files,
        a.max_open_changes <= b.max_open_changes,
        all(allows(b, model) for model in MODELS if allows(a, model)),
        a.require_tier == b.require_tier or not b.require_tier,
        not b.residency or (a.residency and set(a.residency) <= set(b.residency)),
        all(set(models) <= set(b.fallbacks.get(model, ())) for model, models in a.fallbacks.items()),
        set(a.freeze) >= set(b.freeze),
        all(getattr(a, key) == getattr(b, key) for key in SERVERS_ONLY),
    ))  # fmt: skip


def asks(policy: Policy, verb: str) -> int:
    """Measure the role for a verb: the stronger of its own and that of all commands."""
    return max(STRENGTH[policy.min_role], STRENGTH[policy.verb_roles.get(verb, "write")])


def is_gate_as_strict(a: GateRule, b: GateRule) -> bool:
    if b.approvers and not (a.approvers and set(a.approvers) <= set(b.approvers)):
        return False
    if "owners" in b.approvers and "owners" not in a.approvers:
        return False
    return a.quorum >= b.quorum and STRENGTH[a.min_role] >= STRENGTH[b.min_role] and set(a.not_by) >= set(b.not_by)


def allows(policy: Policy, model: str) -> bool:
    return not policy.allowed_models or any(fnmatchcase(model, glob) for glob in policy.allowed_models)


def _without_empty(value: Any) -> Any:
    """Leave out models without any fallback, which is what a table says that does not name them."""
    return {key: each for key, each in value.items() if each} if isinstance(value, dict) else value


@settings(max_examples=400, deadline=None)
@given(TABLE, TABLE)
def test_a_narrowed_policy_is_never_weaker_than_the_servers(server_table, table):
    server = policy(**server_table)
    assume(not problems(server))
    try:
        narrowed = narrow(server, table)
    except PolicyFileError:
        return  # nothing is let pass at all
    assert is_at_least_as_strict(narrowed.policy, server)
    assert bool(narrowed.taken) == (narrowed.policy != server)
    assert narrow(narrowed.policy, table).policy == narrowed.policy, "taking the file twice changes nothing"


@settings(max_examples=200, deadline=None)
@given(TABLE, TABLE)
def test_what_the_file_says_holds_or_is_refused_by_name(server_table, table):
    server = policy(**server_table)
    assume(not problems(server))
    try:
        narrowed = narrow(server, table)
    except PolicyFileError:
        return
    said = {refusal.key for refusal in narrowed.refused}
    wanted = msgspec.convert(table, Policy)
    for key, value in table.items():
        if key not in {"spec", "plan", "scope", "change", "verb_roles", "protected_paths", "freeze"}:
            held, want = (_without_empty(getattr(policy, key)) for policy in (narrowed.policy, wanted))
            assert f"policy.{key}" in said or held == want or set(held) == set(want), (key, value)


def test_the_measure_itself_sees_what_is_weaker():
    for key, lax, strict in STRICTER:
        assert not is_at_least_as_strict(policy(**{key: lax}), policy(**{key: strict})), key
        assert is_at_least_as_strict(policy(**{key: strict}), policy(**{key: lax})), key
