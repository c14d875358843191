"""A journal as one HTML page that stands alone: no script, no link, nothing from elsewhere, every text escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bot import __version__
from bot.audit.changes import usd
from bot.audit.gathering import Told
from bot.audit.report import conclusion, plain, when
from bot.audit.timeline import Event, events

TEMPLATES: Final = Path(__file__).parent / "templates"
LONGEST: Final = 50_000  # records of one task that a browser still shows well


class Part(msgspec.Struct, frozen=True):
    """What the page says of one task; `stopped` is why nothing more is shown."""

    told: Told
    conclusion: str
    events: tuple[Event, ...]
    stopped: str


def page(tasks: Sequence[Told]) -> str:
    """Write the page."""
    css = (TEMPLATES / "page.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return _environment().get_template("page.html.j2").render(
        heading=f"Evidence of task {tasks[0].verdict.task}" if len(tasks) == 1 else f"Evidence of {len(tasks)} tasks",
        css=Markup(css),  # noqa: S704 - ours, from the file beside the template
        css_hash=Markup(f"sha256-{digest}"),  # noqa: S704 - base64
        tasks=[_part(one) for one in tasks],
        version=__version__,
    )  # fmt: skip


def _part(one: Told) -> Part:
    shown = one.entries[:LONGEST]
    broken = next((finding.what for finding in one.verdict.findings if finding.check == "chain"), "")
    cut = f"{len(one.entries) - len(shown)} more records are in the journal" if len(one.entries) > len(shown) else ""
    said = " ".join(conclusion(one.verdict, "below"))
    return Part(one, said, tuple(events(entry.record for entry in shown)), broken or cut)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, autoescape=True, trim_blocks=True,
        lstrip_blocks=True, auto_reload=False, finalize=_harmless,
    )  # fmt: skip
    made.filters |= {"when": when, "usd": usd}
    return made


def _harmless(value: Any) -> Any:
    """Show what no eye sees as such; escaping comes after it."""
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value
