"""The [policy] table of a repository's file: read strictly, or refused with the line or the key."""

from __future__ import annotations

import pytest

from bot.policy.repository import LIMIT, PolicyFileError, policy_table, whole


def test_the_policy_is_read_and_nothing_else():
    raw = b'[checks]\ntest = "make test"\n[policy]\ngate_days = 3\n[policy.spec]\nquorum = 2\n'
    assert policy_table(raw) == {"gate_days": 3, "spec": {"quorum": 2}}


@pytest.mark.parametrize("raw", [b"", b'setup = ["make"]\n[strange]\nkey = 1\n', b"[policy]\n"])
def test_a_file_without_a_policy_asks_for_nothing(raw):
    assert policy_table(raw) == {}


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"[policy]\ngate_days = = 3", "line 2"),
        (b"[policy]\ngate_days = 3\ngate_days = 4\n", "line 3"),
        (b"[policy]\nfreeze = ['Gr\xfc\xdfe']", "utf-8"),
        (b"policy = 3", "policy in .gatewright.toml is no table"),
        (b"[[policy]]\ngate_days = 3", "policy in .gatewright.toml is no table"),
        (b"[policy]\ngate_day = 3", "unknown field `gate_day`"),
        (b"[policy.spec]\nquorums = 3", "policy.spec in"),
        (b"[policy]\ngate_days = 0", "policy.gate_days in"),
        (b"[policy]\ngate_days = '3'", "policy.gate_days in"),
        (b"[policy]\napprover_ids = 1", "policy.approver_ids in"),
        (b"[policy.spec]\nquorum = true", "policy.spec.quorum in"),
        (b"[policy.spec]\napprovers = ['anna']", "policy.spec.approvers[0] in"),
        (b"[policy.spec]\napprovers = ['user:0']", "policy.spec.approvers[0] in"),
        (b"[policy.spec]\nnot_by = ['bot']", "policy.spec.not_by[0] in"),
        (b"[policy.verb_roles]\nci = 'read'", "policy.verb_roles[...] in"),
        (b"[policy]\nspec = 'me'", "policy.spec in"),
        (b"[policy]\nfreeze = 2026-12-20", "policy.freeze in"),
        (b"[policy]\ndigest = 'never'", "policy.digest in"),
        (b"x = " + b"[" * 20_000, "nested too deeply"),
        (b"# " + b"x" * LIMIT, "at most 65536 are read"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_its_place(raw, said):
    with pytest.raises(PolicyFileError) as caught:
        policy_table(raw)
    assert caught.value.code == "GW-POLICY-FILE"
    assert said in f"{caught.value.what} {caught.value.why}"
    assert "mend [policy]" in caught.value.fix


def test_the_whole_file_is_there_for_who_reads_other_keys():
    assert whole(b'profile = "fast"\n[policy]\ngate_days = 3\n') == {"profile": "fast", "policy": {"gate_days": 3}}


def test_a_file_may_be_as_large_as_the_limit():
    assert policy_table(b"# " + b"x" * (LIMIT - 2)) == {}
