"""What each forge declares holds together: the command form that the bot shows is one that it hears there."""

from __future__ import annotations

import pytest

from bot.commands.grammar import parse
from bot.forges.github import GitHub
from bot.forges.gitlab import GitLab
from bot.forges.local import LocalForge
from bot.model.command import Command, Verb
from bot.model.manners import Manners
from bot.reports.words import Words

EVERYWHERE = [GitHub.manners, GitLab.manners, LocalForge.manners]


@pytest.mark.parametrize("manners", EVERYWHERE)
@pytest.mark.parametrize("style", ["bare", "named"])
def test_the_form_that_is_shown_is_heard(manners: Manners, style: str) -> None:
    shown = Words(manners, style=style).say("approve", "9f3c21ab77e0")
    assert parse(str(shown), bot_name="gatewright", manners=manners) == (Command(Verb.APPROVE, "9f3c21ab77e0"),)


def test_a_bare_verb_is_nothing_where_the_forge_takes_it_for_itself() -> None:
    heard = [bool(parse("/approve", bot_name="gatewright", manners=manners)) for manners in EVERYWHERE]
    assert heard == [True, False, True]


def test_changes_have_the_name_that_people_know() -> None:
    assert [manners.change_word for manners in EVERYWHERE] == ["pull request", "merge request", "pull request"]
