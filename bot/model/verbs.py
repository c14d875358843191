"""The table of verbs: what each does, where it may be said, and what follows it; help, docs and permission read it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from bot.model.command import Verb
from bot.model.state import State


class Takes(StrEnum):
    """What may follow a verb."""

    NOTHING = "nothing"
    LINE = "line"  # the rest of its line
    TEXT = "text"  # the rest of its line and all lines up to the next command
    BLOCK = "block"  # the first fenced block below it


class Where(StrEnum):
    """On which page a verb counts."""

    ISSUE = "issue"
    CHANGE = "change"
    EITHER = "either"

    def holds(self, *, on_change: bool) -> bool:
        """Tell whether a comment on an issue or a change will do."""
        return self is Where.EITHER or (self is Where.CHANGE) == on_change


class Entry(msgspec.Struct, frozen=True):
    """One verb; `where` lists the states in which it may be said."""

    verb: Verb
    form: str  # what follows the verb, as a person would note it down
    takes: Takes
    summary: str
    example: str
    when: str
    where: dict[State, Where]
    needs_argument: bool = False
    readers_too: bool = False  # else the role that policy asks for


_OPEN: Final = {state: Where.EITHER for state in State if not state.is_final}
_ALWAYS: Final = dict.fromkeys(State, Where.EITHER)
_DRAFTS: Final = {State.SPEC_REVIEW: Where.ISSUE, State.PLAN_REVIEW: Where.ISSUE}

CATALOGUE: Final[tuple[Entry, ...]] = (
    Entry(
        Verb.APPROVE,
        "[scope] [digest]",
        Takes.LINE,
        "Approve exactly what has that digest; without one, what was shown last before your comment.",
        "9f3c21ab77e0",
        "spec and plan gate, and scope findings (`approve scope`), on the issue; change gate, on the pull or merge "
        "request",
        _DRAFTS | {State.SCOPE_REVIEW: Where.ISSUE, State.CHANGE_REVIEW: Where.CHANGE},
    ),
    Entry(
        Verb.REVISE,
        "<what to change>",
        Takes.TEXT,
        "Ask for a new draft; approvals of it fall. At the plan gate `revise spec <what>` goes back to the spec.",
        "a 429 is no attempt",
        "spec and plan gate, scope findings, on the issue; while blocked, anywhere",
        _DRAFTS | {State.SCOPE_REVIEW: Where.ISSUE, State.BLOCKED: Where.EITHER},
        needs_argument=True,
    ),
    Entry(
        Verb.EDIT,
        "+ fenced block",
        Takes.BLOCK,
        "Put your own text in place of the draft; it needs approval like any other.",
        "",
        "spec and plan gate, on the issue",
        _DRAFTS,
        needs_argument=True,
    ),
    Entry(
        Verb.REJECT,
        "[reason]",
        Takes.TEXT,
        "End the task; nothing is merged.",
        "we go another way",
        "gates and while blocked",
        dict.fromkeys(
            (State.SPEC_REVIEW, State.PLAN_REVIEW, State.SCOPE_REVIEW, State.CHANGE_REVIEW, State.BLOCKED), Where.EITHER
        ),
    ),
    Entry(
        Verb.FIX,
        "<what>",
        Takes.TEXT,
        "Have something mended on the branch; QA runs again, an approval of the change falls.",
        "the log line shows the token",
        "change gate, on the pull or merge request; scope findings, on the issue; while blocked, anywhere",
        {State.SCOPE_REVIEW: Where.ISSUE, State.CHANGE_REVIEW: Where.CHANGE, State.BLOCKED: Where.EITHER},
        needs_argument=True,
    ),
    Entry(
        Verb.RETRY,
        "[hint]",
        Takes.TEXT,
        "Try again from where the task was blocked.",
        "the mirror is back",
        "while blocked",
        {State.BLOCKED: Where.EITHER},
    ),
    Entry(
        Verb.CANCEL,
        "[reason]",
        Takes.TEXT,
        "Stop what runs and end the task.",
        "",
        "until the task has ended",
        _OPEN,
    ),
    Entry(
        Verb.PAUSE,
        "[repository]",
        Takes.LINE,
        "Start nothing new until `resume`, in this task or in all tasks of the repository.",
        "",
        "until the task has ended",
        _OPEN,
    ),
    Entry(Verb.RESUME, "[repository]", Takes.LINE, "Go on after `pause`.", "", "until the task has ended", _OPEN),
    Entry(
        Verb.CI,
        "<commit>",
        Takes.LINE,
        "Let CI run on exactly that commit of the bot's branch, where policy holds it back.",
        "4be1f0c2a9d3",
        "change gate, on the pull or merge request",
        {State.CHANGE_REVIEW: Where.CHANGE},
        needs_argument=True,
    ),
    Entry(
        Verb.EMERGENCY,
        "<digest> <reason>",
        Takes.TEXT,
        "Break the glass at the present gate: two people that policy names say it, and answer for it.",
        "9f3c21ab77e0 production is down, INC-4711",
        "spec, plan and change gate, and scope findings",
        _DRAFTS | {State.SCOPE_REVIEW: Where.ISSUE, State.CHANGE_REVIEW: Where.CHANGE},
        needs_argument=True,
    ),
    Entry(
        Verb.REVIEWED,
        "[what you found]",
        Takes.TEXT,
        "Say that you have reviewed the emergencies that let gates of this task pass; for who may approve there and "
        "did not break the glass.",
        "the outage was real, the change is the smallest that ends it",
        "after an emergency, until the evidence is sealed",
        _ALWAYS,
    ),
    Entry(
        Verb.MODEL,
        "<profile> | <phase>=<model> ...",
        Takes.LINE,
        "Take a profile of the server's by its name, or other models for phases that have not begun: spec, planning, "
        "coding, qa, qa_fixer.",
        "coding=opus qa=haiku",
        "until the task has ended",
        _OPEN,
        needs_argument=True,
    ),
    Entry(
        Verb.STATUS,
        "",
        Takes.NOTHING,
        "Say where the task stands and what is awaited.",
        "",
        "any time, by anybody who may read",
        _ALWAYS,
        readers_too=True,
    ),
    Entry(
        Verb.HELP,
        "",
        Takes.NOTHING,
        "List these commands.",
        "",
        "any time, by anybody who may read",
        _ALWAYS,
        readers_too=True,
    ),
)

BY_VERB: Final[dict[Verb, Entry]] = {entry.verb: entry for entry in CATALOGUE}
