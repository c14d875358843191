"""The independent verifier is held to real evidence, so that the flow test can lean on it."""

from __future__ import annotations

import json
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
    lines[26] = lines[26].replace(b'"edit"', b'"read"')

    with pytest.raises(AssertionError, match=r"^record 26: its hash"):
        verify_evidence(story.store(lines))


def test_it_names_the_record_that_is_not_canonical(story):
    lines = list(story.lines)
    lines[7] = lines[7].replace(b'"v":1', b'"v":1.0')

    with pytest.raises(AssertionError, match=r"^record 7:"):
        verify_evidence(story.store(lines))


def test_it_refuses_another_spec_than_the_recorded(story):
    story.documents["spec.md"] += b"- AC-2: and nobody pays twice\n"

    with pytest.raises(AssertionError, match=r"^record 7: spec.md"):
        verify_evidence(story.store())


def test_the_oracle_holds_at_every_record_of_a_genuine_journal(story):
    for upto in range(len(story.lines) + 1):
        assert independent.oracle(story.lines[:upto]) == []
    assert independent.let_pass(story.lines) == {"spec", "plan", "change"}


def test_the_oracle_reads_lines_and_what_they_hold(story):
    records = [json.loads(line) for line in story.lines]
    del records[11]  # the ruling on the spec

    assert independent.oracle(records) == independent.oracle([json.dumps(record) for record in records])
    assert independent.oracle(records)[0] == "record 13: planning without an approved spec"
    assert "spec" not in independent.let_pass(records)


def test_it_refuses_work_without_approval(story):
    lines = story.forge(lambda records: records.pop(20))

    with pytest.raises(AssertionError, match="without an approved plan"):
        verify_evidence(story.store(lines))


def test_it_refuses_a_call_without_its_result(story):
    lines = story.forge(lambda records: records.pop(27))

    with pytest.raises(AssertionError, match=r"^record 26: a call without a result"):
        verify_evidence(story.store(lines))
