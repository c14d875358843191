"""What a person's answer at a gate comes to."""

from __future__ import annotations

import pytest

from bot.commands.grammar import parse
from bot.model.command import Command, Verb
from bot.model.errors import GatewrightError
from bot.model.event import AccountKind, Actor, ForgeKind, Repo
from bot.model.gates import Request
from bot.model.manners import Manners
from bot.model.state import Gate, State
from bot.model.task import Origin, Profile, Task
from bot.terminal.gates import Beforehand, Itself, Person, edited, fenced

DIGEST = "9f3c21ab77e0" + "5" * 52
YOU = Actor(2, "you", AccountKind.HUMAN)
ORIGIN = Origin("0-abcdef", Repo(ForgeKind.LOCAL, "localhost", 1, "/x"), 1, YOU, "main", "a" * 40, "b" * 64)


def task(gate: Gate = Gate.SPEC) -> Task:
    state = {Gate.SPEC: State.SPEC_REVIEW, Gate.PLAN: State.PLAN_REVIEW, Gate.CHANGE: State.CHANGE_REVIEW}
    state |= {Gate.SCOPE: State.SCOPE_REVIEW}
    return Task(ORIGIN, state[gate], Profile(), 1, 0, 0, requested=(Request(gate, 1, DIGEST, 0),))


class Answers:
    """Somebody at a keyboard; the end of the list is the end of input."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.shown: list[tuple[str, str]] = []
        self.told: list[str] = []

    async def ask(self, question: str) -> str | None:
        self.asked.append(question)
        return self.answers.pop(0) if self.answers else None

    def show(self, text: str, kind: str = "markdown") -> None:
        self.shown.append((text, kind))

    def detail(self, words: str) -> None:
        self.told.append(words)


async def said(*answers: str, gate: Gate = Gate.SPEC, is_recorded: bool = False) -> tuple[str | None, Answers]:
    keys = Answers(*answers)
    return await Person(keys, is_recorded=is_recorded).decide(task(gate), gate, "the text\n"), keys


@pytest.mark.parametrize("word", ["a", "approve", " A ", "Approve"])
async def test_an_approval_names_what_was_shown(word):
    assert (await said(word))[0] == "/approve 9f3c21ab77e0"


@pytest.mark.parametrize("word", ["", "y", "yes", "abort", "and so on", "aa", "f", "ok"])
async def test_nothing_else_approves_and_the_question_comes_again(word):
    answer, keys = await said(word)
    assert answer is None
    assert len(keys.asked) == 2


@pytest.mark.parametrize(
    ("gate", "answers", "comment"),
    [
        (Gate.SPEC, ("r", "a 429 is no attempt"), "/revise a 429 is no attempt"),
        (Gate.PLAN, ("revise", " spec: shorter "), "/revise spec: shorter"),
        (Gate.CHANGE, ("f", "the log shows the token"), "/fix the log shows the token"),
        (Gate.SCOPE, ("a",), "/approve scope 9f3c21ab77e0"),
        (Gate.SCOPE, ("f", "leave the lock file alone"), "/fix leave the lock file alone"),
        (Gate.SCOPE, ("revise plan", "in two steps"), "/revise in two steps"),
        (Gate.SCOPE, ("j", "not that"), "/reject not that"),
        (Gate.PLAN, ("j", ""), "/reject"),
        (Gate.CHANGE, ("reject", "we go another way"), "/reject we go another way"),
    ],
)
async def test_words_become_the_comment_of_a_forge(gate, answers, comment):
    answer, _ = await said(*answers, gate=gate)
    assert answer == comment
    assert isinstance(parse(comment, bot_name="gatewright", manners=Manners())[0], Command)


async def test_no_words_send_nothing_back():
    answer, keys = await said("r", "  ", "a")
    assert answer == "/approve 9f3c21ab77e0"
    assert keys.asked[1] == "what should change?"


async def test_the_change_is_viewed_as_a_diff():
    _, keys = await said("v", gate=Gate.CHANGE)
    assert keys.shown == [("the text\n", "diff")]


async def test_findings_are_read_and_cannot_be_edited():
    answer, keys = await said("v", "e", gate=Gate.SCOPE)
    assert answer is None
    assert keys.shown == [("the text\n", "markdown")]
    assert len(keys.asked) == 3


@pytest.mark.parametrize(
    ("gate", "letter"), [(Gate.SCOPE, "f"), (Gate.SPEC, "r"), (Gate.PLAN, "e"), (Gate.CHANGE, "f")]
)
async def test_with_recordings_only_what_they_can_follow_is_offered(gate, letter):
    answer, keys = await said(letter, "a", gate=gate, is_recorded=True)
    assert answer == f"/approve {'scope ' if gate is Gate.SCOPE else ''}9f3c21ab77e0"
    assert not any(word in keys.asked[0] for word in ("(r)evise", "(e)dit", "(f)ix"))
    assert "one course only" in keys.told[0]


async def test_an_edited_draft_is_sent_whole_whatever_fences_it_holds(tmp_path, monkeypatch):
    draft = "# Title\n\n````\ncode\n````\n/approve\n"
    editor = tmp_path / "editor"
    (tmp_path / "new").write_text(draft)
    editor.write_text(f'#!/bin/sh\ncp {tmp_path}/new "$1"\n')
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(editor))
    answer, _ = await said("e")
    assert answer == fenced(draft)
    (command,) = parse(answer or "", bot_name="gatewright", manners=Manners())
    assert isinstance(command, Command)
    assert (command.verb, command.block.strip()) == (Verb.EDIT, draft.strip())


async def test_an_editor_that_fails_says_so_and_the_question_comes_again(monkeypatch):
    monkeypatch.setenv("VISUAL", "false")
    answer, keys = await said("e", "a")
    assert answer == "/approve 9f3c21ab77e0"
    assert "'false' did not end well" in keys.told[0]


@pytest.mark.parametrize("editor", ["/nowhere/ed", "'unbalanced"])
async def test_an_editor_that_is_none_is_an_error_in_words(monkeypatch, editor):
    monkeypatch.setenv("VISUAL", editor)
    with pytest.raises(GatewrightError, match="did not end well"):
        await edited("text")


async def test_a_text_that_was_not_changed_is_no_edit(monkeypatch):
    monkeypatch.setenv("VISUAL", "true")
    answer, keys = await said("e")
    assert answer is None
    assert keys.told == ["Nothing was changed."]


async def test_beforehand_only_the_digest_in_force_passes():
    for given, answer in ((DIGEST[:12], "/approve 9f3c21ab77e0"), (DIGEST[:11], None), ("f" * 12, None), ("", None)):
        assert await Beforehand({"spec": given}).decide(task(), Gate.SPEC, "") == answer
    assert await Beforehand({"plan": DIGEST[:12]}).decide(task(), Gate.SPEC, "") is None


async def test_what_was_not_approved_beforehand_is_asked_where_somebody_is():
    keys = Answers("j", "no")
    decider = Beforehand({"spec": DIGEST[:12]}, Person(keys))
    assert await decider.decide(task(), Gate.SPEC, "") == "/approve 9f3c21ab77e0"
    assert keys.asked == []
    assert await decider.decide(task(Gate.PLAN), Gate.PLAN, "") == "/reject no"
    assert decider.is_person


async def test_itself_approves_and_is_no_person():
    assert await Itself().decide(task(), Gate.SPEC, "") == "/approve 9f3c21ab77e0"
    assert not Itself().is_person
