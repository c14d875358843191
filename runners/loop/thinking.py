"""What a model only thought, where its server leaves that in the text; pure."""

from __future__ import annotations

import re
from typing import Final

_NAMES: Final = "think|thinking|thought|reasoning|seed:think"
_OPENING: Final = re.compile(rf"\s*(?:<({_NAMES})>|\[THINK\])")
_OPENED: Final = re.compile(rf"<(?:{_NAMES})>|\[THINK\]")
# Templates that open the thinking themselves leave only its end in the text; elsewhere a tag may be what it is about.
_CLOSING: Final = re.compile(rf"^[ \t]*(?:</({_NAMES})>|\[/THINK\])[ \t]*$", re.MULTILINE)


def spoken(text: str) -> str:
    """Give what was meant for others; nothing where the thinking has no end."""
    while (opening := _OPENING.match(text)) is not None:
        _, _, text = text.partition(f"</{opening[1]}>" if opening[1] else "[/THINK]")
        text = text.lstrip()
    closed = _CLOSING.search(text)
    if closed is None or _OPENED.search(text, 0, closed.start()):
        return text
    return text[closed.end() :].lstrip()
