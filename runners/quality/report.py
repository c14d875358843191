"""qa.md: a QA report as people read it beside the change."""

from __future__ import annotations

import functools
from pathlib import Path

import jinja2

from bot.model.evidence import QaReport, Spec


def render(report: QaReport, spec: Spec) -> str:
    """Write qa.md; the same report gives the same bytes, and no text of a model can pass for the report's own."""
    return _template().render(report=report, texts={criterion.id: criterion.text for criterion in spec.criteria})


@functools.cache
def _template() -> jinja2.Template:
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - Markdown; foreign text is quoted
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters |= {"quote": _quoted, "code": _code}
    return templates.get_template("report.md.j2")


def _quoted(text: str, indent: str = "") -> str:
    return "\n".join(f"{indent}> {line}".rstrip() for line in text.splitlines())


def _code(text: str) -> str:
    return " ".join(text.replace("`", "'").split())
