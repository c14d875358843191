"""Fill templates: strict about names, harmless by default, never too long."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Undefined

from bot.model.errors import GatewrightError
from bot.reports import figures, neutral, tables
from bot.reports.neutral import Markdown
from bot.reports.views import Room

TEMPLATES: Final = Path(__file__).parent / "templates"
BUDGET: Final = 20_000  # characters a comment should have at most
HARD_LIMIT: Final = 65_536  # characters GitHub takes
ROOMS: Final = (Room(9_000, 600, 99), Room(5_000, 300, 60), Room(2_500, 160, 30), Room(800, 100, 12))


def render(name: str, **values: Any) -> str:
    """Fill a template with as much room as the budget leaves; raise GatewrightError where the least is too long."""
    template = environment().get_template(f"{name}.md.j2")
    body = ""
    for room in ROOMS:
        body = tidy(template.render(room=room, **values))
        if len(body) <= BUDGET:
            return body
    if len(body) > HARD_LIMIT:
        raise GatewrightError(
            "GW-REPORT-SIZE", f"the text `{name}` has {len(body)} characters", why="a forge takes 65536"
        )
    return body


@cache
def environment() -> Environment:
    """Compile templates once; every value that is no Markdown of ours is disarmed on its way in."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - the output is Markdown; `finalize` disarms it
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,  # a fold must be closed by a blank line, also where it is included
        auto_reload=False,
        finalize=_harmless,
    )
    for module in (neutral, figures):
        made.filters.update({name: value for name, value in vars(module).items() if name in _FILTERS})
    made.filters |= {"dot": _dot, "hidden": tables.hidden, "kind_words": tables.kind_words}
    return made


def tidy(text: str) -> str:
    """Leave one blank line where conditions left several, outside fenced blocks."""
    return "\n".join(_tidied(text.strip("\n").split("\n"))).strip("\n")


_FILTERS: Final = frozenset(
    {
        "inline",
        "cell",
        "plain",
        "code",
        "fence",
        "usd",
        "duration",
        "when",
        "tokens",
        "price",
        "cost",
        "spending",
        "count",
        "link",
        "anchor",
    }
)


def _harmless(value: Any) -> Any:
    if isinstance(value, Markdown | Undefined) or type(value) is int:
        return value
    if isinstance(value, str):
        return neutral.inline(value)
    raise TypeError(f"a template prints a {type(value).__name__}")


def _dot(words: Markdown) -> Markdown:
    return words if words.endswith((".", "!", "?", "…", ":")) else Markdown(words + ".")


def _tidied(lines: list[str]) -> Iterator[str]:
    fence, was_blank = "", False
    for line in lines:
        ticks = line[: len(line) - len(line.lstrip("`"))]
        if fence:
            fence = "" if line == fence else fence
        elif len(ticks) >= 3:
            fence = ticks
        elif not line.strip():
            if not was_blank:
                yield ""
            was_blank = True
            continue
        was_blank = False
        yield line
