"""docs/commands.md says what the code does."""

from __future__ import annotations

from pathlib import Path

from bot.model.command import Verb
from bot.reports.commands_page import commands_page

PAGE = Path(__file__).resolve().parents[3] / "docs" / "commands.md"


def test_the_committed_page_is_the_one_the_code_writes():
    assert PAGE.read_text("utf-8") == commands_page(), "run `python -m bot.reports.commands_page > docs/commands.md`"


def test_every_verb_has_its_section():
    assert all(f"\n### {verb.value}\n" in commands_page() for verb in Verb)
