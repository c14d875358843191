"""What a person asked the bot to do."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Verb(StrEnum):
    """The words people may say; bot/model/verbs.py explains each."""

    APPROVE = "approve"
    REVISE = "revise"
    EDIT = "edit"
    REJECT = "reject"
    FIX = "fix"
    RETRY = "retry"
    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    STATUS = "status"
    HELP = "help"
    MODEL = "model"
    CI = "ci"
    EMERGENCY = "emergency"
    REVIEWED = "reviewed"


class Command(msgspec.Struct, frozen=True):
    """One command out of a comment.

    `argument` is the rest of the line, and for verbs that take text all that follows up to the next command; `block` is
    the first fenced block below it (for `edit`); `line` counts from 1.
    """

    verb: Verb
    argument: str = ""
    block: str = ""
    line: int = 1
