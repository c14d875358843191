"""Which commits of a journal need not be in the repository, because they never left their runner."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bot.audit.checks.history import unpushed
from bot.audit.record import data_of, decode
from bot.audit.sheet import Entry, Line
from tests.bot.audit.story import Story


def kept_back(story: Story) -> set[str]:
    records = [decode(line) for line in story.lines]
    return unpushed([Entry(record, data_of(record), Line(b"", "", 0)) for record in records])


@pytest.mark.parametrize(
    ("then", "is_kept"),
    [
        (lambda story, commit: None, True),
        (lambda story, commit: story.push(commit), False),
        (lambda story, commit: (story.say("revise", words="shorter"), story.push(commit)), True),
        (lambda story, commit: (story.say("fix", words="shorter"), story.push(commit)), False),
        (lambda story, commit: (story.push(commit), story.say("revise", words="shorter")), False),
    ],
    ids=["held to the end", "pushed", "sent back", "mended on top", "sent back after the push"],
)
def test_work_that_was_sent_back_before_it_was_pushed_is_in_no_repository(
    tmp_path: Path, then: Callable[[Story, str], object], is_kept: bool
):
    story = Story(tmp_path)
    story.opened()
    commit = story.work("coding", b"x = 1\n", findings=1)
    then(story, commit)
    assert (commit in kept_back(story)) is is_kept
