"""What attempts used, counted from the records of their model calls; an attempt that never came to its end counts."""

from __future__ import annotations

from bot.audit import kinds
from bot.model.task import Usage


def counted(usage: Usage, data: kinds.Data) -> Usage:
    """Add a record to what its attempt used: a call counts when it is made, its tokens and money when it has ended."""
    match data:
        case kinds.ModelCall():
            return usage + Usage(1)
        case kinds.ModelResult(tokens_in=given, tokens_out=made, micro_usd=micro_usd):
            return usage + Usage(0, given, made, micro_usd)
    return usage


def settled(usage: Usage, ended: kinds.AttemptEnded) -> Usage:
    """Take the larger of what was counted and what the end says: for a lost attempt control says nothing."""
    price = None if usage.micro_usd is None or ended.micro_usd is None else max(usage.micro_usd, ended.micro_usd)
    return Usage(
        max(usage.calls, ended.calls),
        max(usage.tokens_in, ended.tokens_in),
        max(usage.tokens_out, ended.tokens_out),
        price,
    )
