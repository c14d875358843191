"""What a witness signs and what it refuses, and how the two sides spell it."""

from __future__ import annotations

import pytest

from bot.audit import merkle
from bot.audit.keys import InstanceKey, VKey
from bot.audit.note import Checkpoint, Note, NoteError, cosign, witness_key, witness_vkey
from bot.audit.witnessing import Held, Status, Submission, cosignatures, judge, merged

KEY, OTHER, WITNESS = (InstanceKey.generate() for _ in range(3))
LOG = VKey("bank", KEY.public)
ENTRIES = [bytes([number]) for number in range(9)]
LEAVES = [merkle.leaf(entry) for entry in ENTRIES]


def note(size: int, entries=ENTRIES, key: InstanceKey = KEY, origin: str = "bank") -> Note:
    return Note.sign(str(Checkpoint(origin, size, merkle.root(entries[:size]))), origin, key.public, key)


def held(size: int) -> Held:
    return Held("bank", size, merkle.root(ENTRIES[:size]))


def asked(old: int, size: int, **more) -> Submission:
    return Submission(old, merkle.consistency(LEAVES[:size], old), note(size, **more))


def test_a_request_comes_back():
    one = asked(3, 8)
    assert Submission.parse(bytes(one)) == one
    assert bytes(one).startswith(b"old 3\n")
    assert Submission.parse(bytes(asked(0, 8))).proof == ()


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"old 3", b"old 03\n\n", b"old -1\n\n", b"new 3\n\n", b"old 3\nx\n\n", b"old 3\n" + b"AAAA\n" * 64 + b"\n",
        b"old 3\n\nno note",
    ],
)  # fmt: skip
def test_anything_else_is_no_request(raw: bytes):
    with pytest.raises(NoteError):
        Submission.parse(raw if raw.endswith(b"note") or not raw else raw + bytes(note(3)))


@pytest.mark.parametrize("old", range(9))
def test_every_growth_is_signed(old: int):
    for size in range(max(old, 1), 9):
        status, said = judge(asked(old, size), held(old), LOG)
        assert (status, said and said.size) == (Status.COSIGNED, size)


FORKED = [*ENTRIES[:4], b"other", *ENTRIES[5:]]
FORKED_LEAVES = [merkle.leaf(entry) for entry in FORKED]


@pytest.mark.parametrize(
    ("one", "status"),
    [
        (asked(5, 8, key=OTHER), Status.UNSIGNED),
        (asked(5, 8, origin="other"), Status.UNKNOWN),
        (asked(4, 8), Status.CONFLICT),  # not where the witness stands
        (asked(3, 4), Status.CONFLICT),  # a roll-back
        (Submission(5, (), note(4)), Status.MALFORMED),
        (Submission(5, (), note(5, FORKED)), Status.CONFLICT),  # a fork of the same size
        (Submission(5, merkle.consistency(FORKED_LEAVES[:8], 5), note(8, FORKED)), Status.INCONSISTENT),
        (Submission(5, (), note(8)), Status.INCONSISTENT),
        (Submission(5, (), Note.sign("words\n", "bank", KEY.public, KEY)), Status.MALFORMED),
    ],
)  # fmt: skip
def test_a_fork_and_a_roll_back_are_never_signed(one: Submission, status: Status):
    assert judge(one, held(5), LOG) == (status, None)


def test_only_what_this_witness_signed_is_taken_from_an_answer():
    head, key = note(5), VKey("w", WITNESS.public)
    good = cosign(head.text, "w", WITNESS.public, WITNESS, 7)
    strange = cosign(head.text, "w", OTHER.public, OTHER, 7)
    old = cosign(note(4).text, "w", WITNESS.public, WITNESS, 7)
    answer = "".join(one.line() + "\n" for one in (strange, good, old))
    assert cosignatures(answer, head, key) == (good,)
    assert merged(merged(head, [good]), [good, good]).signatures == (*head.signatures, good)
    assert merged(head, [good]).cosigned_s(key) == 7
    with pytest.raises(NoteError):
        cosignatures("sorry\n", head, key)


def test_a_witness_is_named_by_a_key_of_its_own_type():
    key = VKey("w", WITNESS.public)
    assert witness_key(witness_vkey(key)) == witness_key(str(key)) == key
    assert witness_vkey(key) != str(key)
    for text in ("", "w", "w+00000000+BA==", witness_vkey(key).replace("w+", "v+"), f"w+00000000+{str(key)[11:]}"):
        with pytest.raises(ValueError):
            witness_key(text)
