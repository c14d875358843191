"""What an instance says about one task's key: read back as it was, in one spelling, and every bit of it counts."""

from __future__ import annotations

import pytest

from bot.audit.delegation import DOMAIN, Delegation, key_name
from bot.audit.keys import InstanceKey, VKey
from bot.audit.note import Note, NoteError

INSTANCE, TASK = "gw-test", "42-k7f3qd"
CONTROL, OWN = InstanceKey.generate(), InstanceKey.generate()
KEY = VKey(key_name(INSTANCE, TASK), OWN.public)
SAID = Delegation(KEY, "a" * 64, 1_790_000_000_123)
NOTE = SAID.signed(INSTANCE, CONTROL.public, CONTROL)


def test_the_instance_vouches_for_a_tasks_key() -> None:
    assert key_name(INSTANCE, TASK) == "gw-test/task/42-k7f3qd"
    assert NOTE.text == f"{DOMAIN}\n{KEY}\n{'a' * 64}\n1790000000123\n"
    again = Note.parse(bytes(NOTE))
    assert Delegation.parse(again.text) == SAID
    assert again.is_by(VKey(INSTANCE, CONTROL.public))
    assert not again.is_by(KEY)  # a task's key cannot vouch for itself


def test_every_bit_counts() -> None:
    raw = bytes(NOTE)
    for place in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[place // 8] ^= 1 << place % 8
        try:
            note = Note.parse(bytes(flipped))
        except NoteError:
            continue
        assert not note.is_by(VKey(INSTANCE, CONTROL.public)), place


@pytest.mark.parametrize(
    "text",
    [
        "", str(SAID)[:-1], str(SAID) + "more\n", str(SAID).replace(DOMAIN, "gatewright/delegation/v2"),
        str(SAID).replace("a" * 64, "A" * 64), str(SAID).replace("a" * 64, "a" * 63),
        str(SAID).replace("\n179", "\n0179"),
        str(SAID).replace("\n179", "\n-179"), str(SAID).replace(str(KEY), str(KEY)[:-1]),
        str(SAID).replace(KEY.key_id.hex(), "00000000"), str(SAID).replace("gw-test/task/42", "gw-test/task/43"),
    ],
)  # fmt: skip
def test_a_delegation_has_one_spelling(text: str) -> None:
    with pytest.raises(NoteError):
        Delegation.parse(text)


def test_a_checkpoint_is_no_delegation() -> None:
    with pytest.raises(NoteError):
        Delegation.parse(f"{KEY.name}\n7\n{'A' * 43}=\n")
