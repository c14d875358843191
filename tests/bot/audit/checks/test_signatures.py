from __future__ import annotations

import msgspec
import pytest

from bot.audit import layout
from bot.audit.keys import VKey
from bot.audit.record import decode
from bot.audit.sheet import Severity
from tests.bot.audit.checks.kit import alone, found
from tests.bot.audit.signed import INSTANCE, Keys, judged, note_at
from tests.bot.audit.story import rehash

SEAL = "audit/seal.dsse.json"


def test_a_sealed_task_is_signed_throughout(sealed):
    verdict = alone(sealed, level=2)

    assert (verdict.exit_code, verdict.level, verdict.state) == (0, "L4", "sealed")
    assert verdict.findings == ()
    assert {"signed", "seal"} <= {held.check for held in verdict.held}


def test_without_trust_it_is_l1_and_says_why(sealed):
    verdict = judged(sealed.files())

    assert (verdict.exit_code, verdict.level) == (0, "L1")
    assert any("no signature" in text for text in verdict.not_proven)


def test_a_journal_of_a_version_that_signed_nothing_stays_l1(story):
    prefix = f"{layout.folder('42-k7f3qd')}/"
    files = {
        p.removeprefix(prefix): raw
        for p, raw in layout.evidence_files("42-k7f3qd", story.lines, story.documents).items()
    }

    verdict = judged(files)

    assert (verdict.exit_code, verdict.level) == (0, "L1")
    assert any("were not signed" in text for text in verdict.not_proven)


@pytest.mark.parametrize("bit", [0, 200, 400])
def test_a_note_with_a_changed_byte_is_no_longer_signed(sealed, bit):
    files = sealed.files()
    path = "audit/checkpoints/0000000005.note"
    raw = bytearray(files[path])
    raw[bit % len(raw)] ^= 1

    verdict = alone(sealed, files | {path: bytes(raw)})

    assert verdict.exit_code == 1
    assert found(verdict, "signed").file.endswith(path)


def test_records_cut_below_a_checkpoint_are_named(sealed):
    verdict = alone(sealed, sealed.files(sealed.lines[:40]))

    assert verdict.exit_code == 1
    assert "the end was cut off" in found(verdict, "signed").what


def test_all_hashed_anew_under_our_notes_names_the_first_record_that_differs(sealed):
    lines = sealed.forge(lambda records: records[1]["data"].update(updated_ts=1))

    verdict = alone(sealed, sealed.files(lines))

    assert verdict.level == "L1"
    one = found(verdict, "signed")
    assert "other records were signed" in one.what
    assert one.record == 4  # the first checkpoint above record 1


def test_all_signed_anew_by_an_attackers_keys_is_trusted_by_nobody(sealed):
    keys = Keys.fresh()
    lines = sealed.forge(lambda records: records[0]["data"].update(task_vkey=str(keys.vkeys()[1])))

    verdict = alone(sealed, sealed.files(lines, sealed.resign(lines, keys)))

    assert verdict.exit_code == 1
    assert "no key of the trust file" in found(verdict, "signed").what


def test_all_signed_anew_by_the_stolen_keys_reads_as_not_anchored(sealed):
    lines = sealed.forge(lambda records: records[1]["data"].update(updated_ts=1))

    verdict = alone(sealed, sealed.files(lines, sealed.resign(lines)), level=2)

    assert verdict.level == "L3"  # no git here, nothing contradicts
    assert any("no proven log" in text for text in verdict.not_proven)
    assert verdict.exit_code == 2


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"genesis": "0" * 64}, "another journal"),
        ({"since_ms": 9_000_000_000_000}, "after record 0"),
        ({"key": VKey(f"{INSTANCE}/task/other", bytes(32))}, "another key"),
    ],
)
def test_a_delegation_of_something_else(sealed, changes, what):
    raw = sealed.delegate(sealed.lines, sealed.keys, **changes)

    verdict = alone(sealed, sealed.files() | {"audit/key.note": raw})

    assert verdict.exit_code == 1
    assert any(what in one.what for one in verdict.findings)


def test_a_delegation_that_is_none(sealed):
    verdict = alone(sealed, sealed.files() | {"audit/key.note": b"trust me\n"})

    assert "not what it should be" in found(verdict, "signed").what


def test_another_instances_journal_is_not_what_the_trust_file_speaks_for(sealed):
    key = Keys.fresh().instance.vkey("gw-other")

    verdict = alone(sealed, instance="gw-other", keys=[key])

    assert (verdict.exit_code, found(verdict, "signed").severity) == (2, Severity.INCOMPLETE)


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("audit/key.note", "signature for the task's key is missing"),
        ("audit/checkpoints/0000000001.note", "checkpoint after record 0"),
        ("audit/checkpoints/0000000012.note", "checkpoint after record 11"),
        (SEAL, "the seal is missing"),
    ],
)
def test_a_part_that_is_missing_is_incomplete(sealed, path, what):
    verdict = alone(sealed, {name: raw for name, raw in sealed.files().items() if name != path})

    assert verdict.exit_code == 2
    assert any(what in one.what for one in verdict.findings)


def test_the_tail_beyond_the_last_checkpoint_is_counted_with_its_age(sealed):
    cut = {
        n: r for n, r in sealed.files().items() if not n.startswith("audit/checkpoints/00000000") or n[-7:-5] <= "54"
    }

    verdict = alone(sealed, {name: raw for name, raw in cut.items() if name != SEAL})

    tail = next(one for one in verdict.findings if "nothing signed covers" in one.what)
    assert (tail.record, tail.severity) == (54, Severity.INCOMPLETE)
    assert "last 7 records" in tail.what
    assert any("last 7 records, from record 54 on" in text for text in verdict.not_proven)


def test_a_task_that_has_ended_without_its_seal_is_incomplete(sealed):
    lines = sealed.lines[:-1]
    signed = {p: r for p, r in sealed.signed.items() if p != "seal.dsse.json" and "0061" not in p}

    verdict = alone(sealed, sealed.files(lines, signed))

    assert (verdict.exit_code, verdict.state) == (2, "closed (done)")
    assert "is not sealed" in found(verdict, "seal").what


def test_a_task_that_still_runs_has_the_level_that_it_has(sealed):
    lines = sealed.lines[:57]
    signed = {
        p: r
        for p, r in sealed.signed.items()
        if p == "key.note" or (p[-1] != "n" and p.split("/")[-1][:10] <= "0000000057")
    }
    signed.pop("seal.dsse.json", None)

    verdict = alone(sealed, sealed.files(lines, signed))

    assert (verdict.exit_code, verdict.state, verdict.asked) == (0, "open", "L3")
    assert any("still runs" in text for text in verdict.not_proven)
    assert (
        alone(sealed, {n: r for n, r in sealed.files(lines, signed).items() if "proofs" not in n}, level=4).exit_code
        == 2
    )


def test_a_journal_whose_key_was_taken_out_of_record_0_falls_short_of_l4(sealed):
    lines = sealed.forge(lambda records: records[0]["data"].pop("task_vkey"))[:40]

    sealed.documents = {name: sealed.documents[name] for name in ("spec.md", "plan.md")}

    verdict = alone(sealed, sealed.files(lines, {}))

    assert (verdict.exit_code, verdict.level, verdict.state) == (2, "L1", "open")


class TestSeal:
    @pytest.mark.parametrize(
        "field",
        [
            "task", "repo", "base_commit", "commit", "head", "outcome", "plan_sha256", "policy_sha256", "root",
            "spec_sha256",
        ],
    )  # fmt: skip
    def test_each_field_is_held_to_the_records(self, sealed, field):
        forged = sealed.envelope(sealed.lines, sealed.keys, None, **{field: "0" * 64})

        verdict = alone(sealed, sealed.files(signed=sealed.signed | forged))

        assert verdict.exit_code == 1
        assert any(one.what.endswith(f": {field}") for one in verdict.findings)

    def test_the_seal_of_other_records(self, sealed):
        lines = sealed.forge(lambda records: records[1]["data"].update(updated_ts=1))
        signed = sealed.resign(lines) | {"seal.dsse.json": sealed.signed["seal.dsse.json"]}

        verdict = alone(sealed, sealed.files(lines, signed))

        assert verdict.level == "L1"
        assert {one.what.rpartition(": ")[2] for one in verdict.findings if one.check == "seal"} == {
            "subject",
            "head",
            "root",
        }

    def test_a_payload_of_another_type(self, sealed):
        raw = sealed.signed["seal.dsse.json"].replace(b"vnd.in-toto", b"vnd.in-tot0")

        verdict = alone(sealed, sealed.files() | {SEAL: raw})

        assert verdict.exit_code == 1
        assert "payload" in found(verdict, "seal").what

    @pytest.mark.parametrize("who", ["task", "instance"])
    def test_only_one_of_the_two_signed(self, sealed, who):
        other = msgspec.structs.replace(sealed.keys, **{who: Keys.fresh().task})

        verdict = alone(sealed, sealed.files() | {SEAL: sealed.envelope(sealed.lines, other, None)["seal.dsse.json"]})

        assert verdict.exit_code == 1
        assert "signed it" in found(verdict, "seal").what or "did not sign" in found(verdict, "seal").what

    def test_a_record_after_the_seal(self, sealed):
        records = [msgspec.to_builtins(decode(line)) for line in sealed.lines]
        lines = rehash([*records, records[-2]])

        verdict = alone(sealed, sealed.files(lines))

        assert "the last record is none" in found(verdict, "seal").what

    def test_a_seal_that_is_none(self, sealed):
        assert alone(sealed, sealed.files() | {SEAL: b"{}"}).exit_code == 1


def test_a_note_over_something_else_than_its_name(sealed):
    raw = note_at(sealed.lines, 4, sealed.keys)

    verdict = alone(sealed, sealed.files() | {"audit/checkpoints/0000000005.note": raw})

    assert "something else than its name" in found(verdict, "signed").what
