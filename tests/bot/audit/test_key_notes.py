"""Who may speak for an instance: announced by itself and by the one before, revoked by one that stays."""

from __future__ import annotations

import msgspec
import pytest

from bot.audit.entries import KeyAdded, TaskOpened, encode
from bot.audit.key_notes import KeyNoteError, Ring, added, revoked, ring
from bot.audit.keys import InstanceKey, VKey

FIRST, SECOND, THIRD = (InstanceKey.generate() for _ in range(3))


def vkey(key: InstanceKey, name: str = "bank") -> VKey:
    return VKey(name, key.public)


def by(*keys: InstanceKey):
    return tuple((vkey(key), key) for key in keys)


TWO = (added(vkey(FIRST), by(FIRST)), added(vkey(SECOND), by(SECOND, FIRST)))


def test_keys_come_one_after_the_other():
    found = ring(encode(entry) for entry in TWO)
    assert found == Ring((vkey(FIRST), vkey(SECOND)))
    assert found.valid == found.keys
    assert Ring((vkey(FIRST),)).vouched(TWO[1])
    assert not Ring((vkey(THIRD),)).vouched(TWO[1])


def test_a_key_that_is_announced_again_is_the_newest():
    found = ring(encode(entry) for entry in (*TWO, added(vkey(FIRST), by(FIRST))))
    assert found.keys == (vkey(SECOND), vkey(FIRST))


def test_a_revoked_key_is_known_and_not_valid():
    found = ring(encode(entry) for entry in (*TWO, revoked(vkey(FIRST), 17, by(SECOND)[0])))
    assert (found.valid, found.revoked) == ((vkey(SECOND),), {str(vkey(FIRST)): 17})


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (added(vkey(THIRD), by(SECOND)), "did not sign"),
        (added(vkey(THIRD, "other"), ((vkey(THIRD, "other"), THIRD),)), "another instance's"),
        (revoked(vkey(FIRST), 17, by(FIRST)[0]), "no key that stays"),
        (revoked(vkey(FIRST), 17, by(THIRD)[0]), "no key that stays"),
        (revoked(vkey(THIRD), 17, by(FIRST)[0]), "no key of this instance"),
        (KeyAdded("words"), "no note"),
        (KeyAdded(revoked(vkey(FIRST), 17, by(SECOND)[0]).note), "not a note that adds"),
        (TaskOpened("", "1-a"), "not about keys"),
    ],
)
def test_whatever_nobody_may_say_is_refused(entry, why: str):
    with pytest.raises(KeyNoteError, match=why):
        ring(encode(one) for one in (*TWO, entry))


def test_a_revoked_key_revokes_nothing():
    before = (*TWO, revoked(vkey(FIRST), 17, by(SECOND)[0]))
    with pytest.raises(KeyNoteError, match="no key that stays"):
        ring(encode(one) for one in (*before, revoked(vkey(SECOND), 18, by(FIRST)[0])))


@pytest.mark.parametrize("text", ["added\n{}", "revoked\n{}\n-1", "revoked\n{}\n01", "revoked\nx\n1"])
def test_a_text_in_another_form_is_none(text: str):
    from bot.audit.entries import KeyRevoked
    from bot.audit.note import Note

    raw = bytes(Note.sign(f"gatewright/key/v1\n{text.format(vkey(FIRST))}\nmore\n", "bank", SECOND.public, SECOND))
    for kind in (KeyAdded, KeyRevoked):
        with pytest.raises(KeyNoteError):
            ring([*(encode(one) for one in TWO), encode(kind(raw.decode()))])


def test_what_is_no_entry_is_none():
    with pytest.raises(KeyNoteError):
        ring([msgspec.json.encode({"kind": "key.added"})])
