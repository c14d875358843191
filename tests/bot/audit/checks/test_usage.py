from __future__ import annotations

import msgspec
import pytest

from bot.audit import kinds
from bot.audit.checks import usage
from bot.audit.cost import cost
from bot.audit.folder import Folder
from bot.audit.record import data_of, decode
from bot.audit.sheet import Entry, Line, Severity, Sheet
from tests.bot.audit.story import TASK, Story


def entries(story: Story) -> list[Entry]:
    records = [decode(line) for line in story.lines]
    lines = [Line(line, "f", number) for number, line in enumerate(story.lines, 1)]
    return [Entry(record, data_of(record), line) for record, line in zip(records, lines, strict=True)]


def checked(found: list[Entry], content: bytes | None = None) -> Sheet:
    sheet = Sheet()
    usage.check(found, Folder(TASK, {} if content is None else {"cost.json": content}), sheet)
    return sheet


def derived(found: list[Entry]) -> bytes:
    return cost((entry.record, entry.data) for entry in found)


def test_sums_that_fit_hold(story: Story):
    found = entries(story)
    sheet = checked(found, derived(found))
    assert sheet.findings == []
    assert [held.check for held in sheet.held] == ["usage"]
    assert "model calls" in sheet.held[0].text


@pytest.mark.parametrize("change", [{"calls": 9}, {"tokens_in": 0}, {"tokens_out": 1}, {"micro_usd": None}])
def test_an_end_that_says_something_else_than_its_calls_is_found(story: Story, change: dict[str, int | None]):
    found = entries(story)
    at = next(n for n, entry in enumerate(found) if isinstance(entry.data, kinds.AttemptEnded) and entry.data.calls)
    found[at] = msgspec.structs.replace(found[at], data=msgspec.structs.replace(found[at].data, **change))
    [finding] = checked(found).findings
    assert (finding.check, finding.severity, finding.record) == ("usage", Severity.TAMPERED, found[at].seq)
    assert finding.expected != finding.found


def test_what_control_writes_for_a_lost_worker_claims_no_sums(story: Story):
    story.start("coding")
    story.model()
    story.add("attempt.ended", kinds.AttemptEnded(story.attempt, "coding", "GW-ATTEMPT-LOST"), outcome="fail")
    assert checked(entries(story)).findings == []


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff", b'{"schema": 7}', b'{"schema":"gatewright/cost/v1"}'])
def test_a_cost_file_that_does_not_follow_from_the_journal_is_found(story: Story, content: bytes):
    [finding] = checked(entries(story), content).findings
    assert (finding.check, finding.file) == ("usage", f".gatewright/tasks/{TASK}/cost.json")


def test_a_cost_file_of_another_version_is_not_judged_and_that_is_said(story: Story):
    sheet = checked(entries(story), b'{"schema":"gatewright/cost/v2"}')
    assert sheet.findings == []
    assert any("cost.json" in doubt for doubt in sheet.not_proven)


def test_a_cheaper_cost_file_is_found(story: Story):
    found = entries(story)
    cheaper = derived(found).replace(b'"tokens_in": 10', b'"tokens_in": 1', 1)
    assert cheaper != derived(found)
    assert [finding.check for finding in checked(found, cheaper).findings] == ["usage"]
