"""The self-test: one note, compared and removed; nothing is carried out, and nobody is told by it."""

from __future__ import annotations

import pytest

from bot.forges.errors import NOT_FOUND
from bot.forges.gitlab_selftest import BARE, Remark, place, self_test
from bot.model.errors import UsageError
from tests.bot.forges.conftest import QUICK_GITLAB, raises
from tests.simulators.gitlab import GitLabSimulator
from tests.simulators.gitlab.people import Person
from tests.simulators.gitlab.quick_actions import Rule


def human(dev: Person) -> list[str]:
    return [note.body for note in dev.project.issues[1].notes if not note.system]


async def run(gitlab: GitLabSimulator, dev: Person, bot_name: str = "gatewright", issue: int = 1) -> list[Remark]:
    _, token = gitlab.access_token(dev.project)
    where = f"{dev.project.full_path}#{issue}"
    return await self_test(gitlab.table(token=token.value), where, bot_name=bot_name, pace=QUICK_GITLAB)


@pytest.mark.parametrize("rule", list(Rule))
async def test_the_bare_form_is_eaten_and_the_named_one_arrives(
    gitlab: GitLabSimulator, dev: Person, rule: Rule
) -> None:
    gitlab.do(lambda: setattr(gitlab.traits, "rule", rule))
    dev.opens_issue("a")
    bare, named = await run(gitlab, dev)
    assert "takes a bare /approve for itself" in bare.words
    assert "/gatewright help arrives whole" in named.words
    assert not bare.fix + named.fix
    assert human(dev) == []


async def test_the_note_changes_nothing_on_the_issue(gitlab: GitLabSimulator, dev: Person) -> None:
    """What GitLab takes for itself is a command that issues do not know."""
    dev.opens_issue("a", labels=("x",))
    before = (dev.project.issues[1].state, [label.title for label in dev.project.issues[1].labels])
    await run(gitlab, dev)
    assert (dev.project.issues[1].state, [label.title for label in dev.project.issues[1].labels]) == before
    assert [(one.name, one.applied) for one in gitlab.executed] == [(BARE.lstrip("/"), False)]


async def test_an_instance_that_leaves_the_bare_form_alone_is_told_of(gitlab: GitLabSimulator, dev: Person) -> None:
    dev.opens_issue("a")
    body = b'{"id": 4711, "body": "Self-test\\n\\n/approve\\n\\nand by name:\\n\\n/gatewright help"}'
    gitlab.fault("POST", r".*/notes", status=201, body=body, headers={"content-type": "application/json"})
    bare, named, _ = await run(gitlab, dev)
    assert "survives here" in bare.words
    assert "arrives whole" in named.words


async def test_a_name_that_is_cut_out_is_a_fault(gitlab: GitLabSimulator, dev: Person) -> None:
    """Something before GitLab, or a command of later versions, takes the bot's name."""
    dev.opens_issue("a")
    body = b'{"id": 4711, "body": "Self-test of Gatewright; this note is removed at once."}'
    gitlab.fault("POST", r".*/notes", status=201, body=body, headers={"content-type": "application/json"})
    bare, named, left = await run(gitlab, dev, bot_name="robot")
    assert named.is_fault
    assert "bot_name" in named.fix
    assert "takes a bare" in bare.words
    assert "4711 is still there" in left.words  # it never was: what cannot be removed is said


async def test_a_note_that_cannot_be_removed_is_named(gitlab: GitLabSimulator, dev: Person) -> None:
    dev.opens_issue("a")
    gitlab.fault("DELETE", r".*/notes/\d+", status=403, body=b'{"message":"403 Forbidden"}')
    _, _, left = await run(gitlab, dev)
    assert "is still there" in left.words
    assert f"{dev.project.full_path}#1" in left.fix
    assert len(human(dev)) == 1


async def test_a_name_that_gitlab_owns_is_refused_before_anything_is_posted(
    gitlab: GitLabSimulator, dev: Person
) -> None:
    dev.opens_issue("a")
    await raises("GW-GITLAB-BOT-NAME", run(gitlab, dev, bot_name="close"))
    assert human(dev) == []
    assert dev.project.issues[1].state == "opened"


async def test_an_issue_that_is_not_there_is_an_error(gitlab: GitLabSimulator, dev: Person) -> None:
    await raises(NOT_FOUND, run(gitlab, dev, issue=99))


def test_a_place_is_a_project_and_an_issue() -> None:
    assert place("a/b/c#42") == ("a/b/c", 42)


@pytest.mark.parametrize("text", ["", "a/b", "a/b#", "#3", "a/b#0", "a/b#-1", "a b#3", "a/b#3x", "a/b#1#2"])
def test_what_names_no_issue_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="names no issue"):
        place(text)
