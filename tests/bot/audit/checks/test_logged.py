from __future__ import annotations

import base64

import pytest

from bot.audit import merkle
from bot.audit.keys import InstanceKey
from bot.audit.note import Checkpoint, Note, Proof
from bot.audit.verify import Terms, terms
from tests.bot.audit.checks.kit import alone, by, found, trusted
from tests.bot.audit.signed import INSTANCE, Keys, Log, judged, note_at
from tests.bot.audit.story import TASK

LAST = "audit/proofs/0000000061.tlog-proof"


def head_of(log: Log, key: InstanceKey, size: int | None = None) -> Note:
    lines = log.lines if size is None else log.lines[:size]
    return Note.sign(str(Checkpoint(INSTANCE, len(lines), merkle.root(lines))), INSTANCE, key.public, key)


def test_every_checkpoint_is_proven_and_in_the_log_at_hand(sealed):
    verdict = alone(sealed, log=True)

    assert (verdict.exit_code, verdict.level) == (0, "L4")
    assert any("25 checkpoints logged" in held.text for held in verdict.held)
    assert not any("--log" in text for text in verdict.not_proven)


def test_without_the_log_it_is_said_that_others_may_see_another(sealed):
    assert any("same log" in text for text in alone(sealed).not_proven)


def test_a_missing_proof_is_incomplete_unless_the_log_is_at_hand(sealed):
    files = {name: raw for name, raw in sealed.files().items() if name != LAST}

    assert alone(sealed, files).exit_code == 2
    assert alone(sealed, files).level == "L3"
    assert alone(sealed, files, log=True).level == "L4"


@pytest.mark.parametrize("byte", [30, 120, -60])
def test_a_proof_with_a_changed_byte(sealed, byte):
    raw = bytearray(sealed.files()[LAST])
    raw[byte] = ord("B") if raw[byte] != ord("B") else ord("C")

    verdict = alone(sealed, sealed.files() | {LAST: bytes(raw)})

    assert verdict.exit_code == 1
    assert found(verdict, "log").file.endswith(LAST)


def test_a_proof_for_another_checkpoint(sealed):
    files = sealed.files()

    verdict = alone(sealed, files | {LAST: files["audit/proofs/0000000060.tlog-proof"]})

    assert "does not prove" in found(verdict, "log").what


def test_a_head_by_a_key_that_nobody_trusts(sealed):
    index = sealed.log.lines.index(sealed.log.lines[-2])
    proof = Proof(index, merkle.inclusion([merkle.leaf(x) for x in sealed.log.lines], index),
                  head_of(sealed.log, InstanceKey.generate()))  # fmt: skip

    verdict = alone(sealed, sealed.files() | {LAST: bytes(proof)})

    assert "no key of the trust file signed its head" in found(verdict, "log").what


def test_a_log_behind_what_the_auditor_saw_was_rolled_back(sealed):
    seen = {"size": len(sealed.log.lines) + 5, "root": base64.b64encode(bytes(32)).decode()}

    behind = Terms(trusted(sealed, log=seen), by(sealed, log=True).log)
    assert "rolled back" in found(judged(sealed.files(), by=behind), "log").what


def test_a_log_that_did_not_grow_from_what_the_auditor_saw_is_another(sealed):

    good = {"size": 3, "root": base64.b64encode(merkle.root(sealed.log.lines[:3])).decode()}
    log = by(sealed, log=True).log

    assert judged(sealed.files(), by=Terms(trusted(sealed, log=good), log)).exit_code == 0
    bad = Terms(trusted(sealed, log=good | {"root": base64.b64encode(bytes(32)).decode()}), log)
    assert "two logs" in found(judged(sealed.files(), by=bad), "log").what


def test_another_log_than_the_one_that_was_proven(sealed):
    files = sealed.files()
    sealed.log.lines[0] = sealed.log.lines[0].replace(b"gatewright/delegation", b"gatewright/delegatiom")

    verdict = alone(sealed, files, log=True)

    assert verdict.exit_code == 1
    assert "two logs" in found(verdict, "log").what


def test_an_entry_changed_below_the_signed_head(sealed):
    folder = sealed.log.write(sealed.root / "log")
    path = folder / "entries" / "000000.jsonl"
    path.write_bytes(path.read_bytes().replace(b"task.opened", b"task.openef", 1))

    verdict = judged(sealed.files(), by=terms(trusted(sealed), folder))

    assert any("an entry was changed" in one.what for one in verdict.findings)


def test_a_copy_that_ends_before_what_the_log_holds_is_incomplete(sealed):
    lines = sealed.lines[:57]
    keep = {p: r for p, r in sealed.signed.items() if p == "key.note" or p.split("/")[-1][:10] <= "0000000057"}
    keep.pop("seal.dsse.json", None)

    verdict = alone(sealed, sealed.files(lines, keep), log=True)

    assert verdict.exit_code == 2
    assert "58 records, and 57 are here" in found(verdict, "log").what


def test_a_seal_that_is_not_the_logged_one(sealed):
    sealed.log.lines = [
        line.replace(b'"size":61', b'"size":60') if b"task.sealed" in line else line for line in sealed.log.lines
    ]

    verdict = alone(sealed, log=True)

    assert "another seal" in found(verdict, "log").what


def test_a_task_that_the_log_opened_with_another_key(sealed):
    raw = sealed.delegate(sealed.lines, sealed.keys, since_ms=5)
    sealed.log.add({"kind": "task.opened", "delegation": raw.decode(), "task": "42-k7f3qd"})

    assert "another key" in found(alone(sealed, log=True), "log").what


class TestRevoked:
    """The instance's key was revoked; another one signs the log's heads now."""

    def judged(self, sealed, size):
        new = InstanceKey.generate()
        old = str(sealed.keys.vkeys()[0])
        sealed.log.key = new
        return alone(sealed, log=True, keys=[new.vkey(INSTANCE)], revoked=[{"vkey": old, "log_size": size}])

    def test_what_was_logged_before_counts(self, sealed):
        verdict = self.judged(sealed, len(sealed.log.lines))

        assert (verdict.exit_code, verdict.level) == (0, "L4")

    def test_what_was_logged_afterwards_does_not(self, sealed):
        verdict = self.judged(sealed, 3)

        assert verdict.exit_code == 1
        assert any("revoked before it was logged" in one.what for one in verdict.findings)

    def test_without_the_log_nobody_can_tell(self, sealed):
        old = str(sealed.keys.vkeys()[0])
        keys = [Keys.fresh().instance.vkey(INSTANCE)]

        verdict = alone(sealed, keys=keys, revoked=[{"vkey": old, "log_size": 999}])

        assert verdict.exit_code == 2
        assert any("--log DIR" in one.what for one in verdict.findings)


@pytest.mark.parametrize(
    ("keys", "what"), [(None, "5 other records"), (Keys.fresh(), "that the task's key did not sign")]
)
def test_an_entry_that_tells_another_story_of_this_task(sealed, keys, what):
    lines = sealed.forge(lambda records: records[1]["data"].update(updated_ts=1))
    note = note_at(lines, 5, keys or sealed.keys)
    sealed.log.add({"kind": "task.checkpoint", "note": note.decode(), "task": TASK})

    verdict = alone(sealed, log=True)

    assert verdict.exit_code == 1
    assert what in found(verdict, "log").what


def test_two_heads_of_one_size_are_two_logs_even_without_the_log_at_hand(sealed):
    fork = Log(sealed.log.key)
    fork.lines = [b"{}" if n == 0 else line for n, line in enumerate(sealed.log.lines)]
    size = max(sealed.log.heads)
    fork.lines = fork.lines[:size]
    note = sealed.signed["checkpoints/0000000061.note"].decode()
    index = fork.add({"kind": "task.checkpoint", "note": note, "task": TASK})

    verdict = alone(sealed, sealed.files() | {LAST: fork.proof(index, head_of(fork, fork.key))})

    assert verdict.exit_code == 1
    assert "two heads" in found(verdict, "log").what
