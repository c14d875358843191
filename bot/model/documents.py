"""spec.md and plan.md: text to value and back, without I/O."""

from __future__ import annotations

from bot.model.document import DocumentError, normalise
from bot.model.extract import extract
from bot.model.plan_document import parse_plan, plan_json, render_plan
from bot.model.spec_document import parse_spec, render_spec

__all__ = [
    "DocumentError",
    "extract",
    "normalise",
    "parse_plan",
    "parse_spec",
    "plan_json",
    "render_plan",
    "render_spec",
]
