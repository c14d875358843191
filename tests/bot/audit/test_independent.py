"""The independent verifier is held to real evidence, so that the flow test can lean on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import independent
from tests.independent import verify_evidence


def test_it_imports_nothing_of_ours():
    source = Path(independent.__file__).read_text(encoding="utf-8")

    assert "import bot" not in source
    assert "from bot" not in source


def test_it_counts_the_records_of_genuine_evidence(story):
    assert verify_evidence(story.store()) == len(story.lines)


def test_it_names_the_record_that_was_changed(story):
    lines = list(story.lines)
    lines[20] = lines[20].replace(b'"edit"', b'"read"')

    with pytest.raises(AssertionError, match=r"^record 20: its hash"):
        verify_evidence(story.store(lines))


def test_it_names_the_record_that_is_not_canonical(story):
    lines = list(story.lines)
    lines[7] = lines[7].replace(b'"v":1', b'"v":1.0')

    with pytest.raises(AssertionError, match=r"^record 7:"):
        verify_evidence(story.store(lines))


def test_it_refuses_another_spec_than_the_recorded(story):
    story.documents["spec.md"] += b"- AC-2: and nobody pays twice\n"

    with pytest.raises(AssertionError, match=r"^record 6: spec.md"):
        verify_evidence(story.store())


def test_it_refuses_work_without_approval(story):
    lines = story.forge(lambda records: records.pop(16))

    with pytest.raises(AssertionError, match="work without approval"):
        verify_evidence(story.store(lines))


def test_it_refuses_a_call_without_its_result(story):
    lines = story.forge(lambda records: records.pop(21))

    with pytest.raises(AssertionError, match=r"^record 20: a call without a result"):
        verify_evidence(story.store(lines))
