"""Messages, trailers and names of commits."""

from __future__ import annotations

import pytest

from runners.workspace.git import GitError
from runners.workspace.letter import identity, letter


def test_trailers_are_the_last_paragraph():
    assert (
        letter(" Add x\n\nBecause.\n\n", {"A-B": "1", "C": "two words"})
        == "Add x\n\nBecause.\n\nA-B: 1\nC: two words\n"
    )
    assert letter("Add x", None) == "Add x\n"


@pytest.mark.parametrize(
    ("message", "trailers"), [("", {}), ("a\0b", {}), ("a", {"Bad Key": "x"}), ("a", {"K": "x\nGatewright-Model: y"})]
)
def test_a_message_cannot_smuggle_trailers(message, trailers):
    with pytest.raises(GitError, match="GW-GIT-MESSAGE"):
        letter(message, trailers)


def test_a_person_is_a_name_and_a_mail():
    assert identity("AUTHOR", "Ann B <a@b>") == {"GIT_AUTHOR_NAME": "Ann B", "GIT_AUTHOR_EMAIL": "a@b"}


@pytest.mark.parametrize("person", ["Ann", "<a@b>", "Ann <a b>", "A\nB <a@b>", "Ann <a@b> <c@d>", ""])
def test_anything_else_is_no_person(person):
    with pytest.raises(GitError, match="GW-GIT-IDENTITY"):
        identity("AUTHOR", person)
