"""HTML as browsers and forges take it: which tags people see the effect of, and what attributes hide."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from bot.model.hygiene_characters import Find, Hidden

# What forges let through and people see. Everything else a forge takes out, with its attributes.
KEPT: Final = frozenset(
    {
        "a", "b", "blockquote", "br", "code", "dd", "del", "details", "div", "dl", "dt", "em", "h1", "h2", "h3", "h4",
        "h5", "h6", "hr", "i", "img", "ins", "kbd", "li", "ol", "p", "pre", "q", "s", "samp", "span", "strike",
        "strong", "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "ul", "var",
    }
)  # fmt: skip
# Their content is not shown; SWALLOWING ones take all that follows where nothing closes them.
SWALLOWING: Final = frozenset({"script", "style", "template"})
HIDING: Final = SWALLOWING | {"noscript", "iframe", "noframes", "rp", "audio", "video", "canvas", "datalist"}
VOID: Final = frozenset(
    {
        "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr",
    }
)  # fmt: skip
_NAME: Final = r"[A-Za-z][A-Za-z0-9-]*+"
_VALUE: Final = r"""(?:[^\s"'=<>`]++|'[^']*+'|"[^"]*+")"""
INLINE: Final = re.compile(
    rf"<(?:{_NAME}(?:\s++[A-Za-z_:][\w.:-]*+(?:\s*+=\s*+{_VALUE})?+)*+\s*+/?|/{_NAME}\s*+)>", re.ASCII
)
LENIENT: Final = re.compile(r"""</?[A-Za-z](?:[^>"']++|"[^"]*+"|'[^']*+')*+>""")
AUTOLINK: Final = re.compile(
    r"<(?:[A-Za-z][A-Za-z0-9+.-]{1,31}:[^\s<>]*+|[\w.!#$%&'*+/=?^`{|}~-]++@[\w.-]++)>", re.ASCII
)
_HEAD: Final = re.compile(r"<(/?)([A-Za-z][^\s/>]*)")
_ATTRIBUTE: Final = re.compile(rf"""([^\s"'>/=]++)(?:\s*+=\s*+({_VALUE}|[^\s>"']++))?+""")
_HIDES: Final = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|opacity\s*:\s*0?\.?0*(?:[;%]|$)|font-size\s*:\s*[0-4]?"
    r"(?:\.\d+)?(?:px|pt|%|em|rem)?\s*(?:;|$)|color\s*:\s*(?:white|transparent|#f{3,8}\b|#[0-9a-f]{6}00\b)"
    r"|(?:left|top|text-indent)\s*:\s*-\d{3}|(?:^|;)\s*(?:max-)?(?:width|height)\s*:\s*[01](?:px)?\s*(?:;|$)",
    re.IGNORECASE,
)
_PLAIN: Final = re.compile(r"[A-Za-z0-9#%._-]{0,20}")
_LAYOUT: Final = frozenset(
    {
        "width", "height", "align", "valign", "border", "cellpadding", "cellspacing", "colspan", "rowspan", "open",
        "start", "type", "dir", "rel", "target", "bgcolor",
    }
)  # fmt: skip
_NO_WORDS: Final = frozenset({"", "image", "img", "screenshot", "hidden", "true", "false"})
_ADDRESS: Final = re.compile(r"(?:(?:https?|ftp)://|mailto:|[#/.?\w-])[^\s\"'<>`\\]{0,2000}", re.IGNORECASE)
_OTHER_SCHEME: Final = re.compile(r"(?!https?:|ftp:|mailto:)[a-z][a-z0-9+.-]*:", re.IGNORECASE)


class Tag:
    """One tag as it was written, taken apart."""

    def __init__(self, source: str) -> None:
        head = _HEAD.match(source)
        self.source = source
        self.is_closing = bool(head and head[1])
        self.name = head[2].lower() if head else ""
        inner = source[head.end() if head else 1 : -1].rstrip("/")
        self.attributes = [(found[1].lower(), (found[2] or "").strip("\"'")) for found in _ATTRIBUTE.finditer(inner)]

    @property
    def swallows(self) -> bool:
        """Tell whether what follows is out of sight even where no tag closes this one."""
        if self.is_closing or self.name in VOID:
            return False
        return self.name in SWALLOWING or any(_is_hiding(name, value) for name, value in self.attributes)

    @property
    def hides(self) -> bool:
        """Tell whether what follows up to the closing tag is out of sight."""
        return self.swallows or (not self.is_closing and self.name in HIDING)

    def written(self) -> str:
        """Write the tag with nothing but what people see."""
        if self.name not in KEPT:
            return ""
        if not self.attributes:
            return self.source
        if self.is_closing:
            return f"</{self.name}>"
        wanted = {"a": "href", "img": "src"}.get(self.name)
        target = next((address(value) for name, value in self.attributes if name == wanted), "")
        return f'<{self.name} {wanted}="{target}">' if target else f"<{self.name}>"

    def finds(self) -> Iterator[Find]:
        """Name what is lost with it: its attributes, or the whole tag."""
        if self.name not in KEPT:
            if not self.is_closing:
                yield Find(Hidden.TAG, self.source)
            return
        for name, value in self.attributes:
            if value.strip().lower() in _NO_WORDS or (name in _LAYOUT and _PLAIN.fullmatch(value)):
                continue
            if (self.name, name) in (("a", "href"), ("img", "src")) and address(value):
                continue
            if name == "alt":
                yield Find(Hidden.ALT, value)
            else:
                yield Find(Hidden.TITLE if name == "title" else Hidden.ATTRIBUTE, f"{name}={value}")


def _is_hiding(name: str, value: str) -> bool:
    if name == "color":
        return value.lower() in ("white", "#fff", "#ffffff", "transparent")
    return name == "hidden" or (name == "style" and bool(_HIDES.search(value)))


def address(value: str) -> str:
    """Keep a link's target where it is an address and nothing else; empty for everything else."""
    value = value.strip()
    is_one = _ADDRESS.fullmatch(value) and not _OTHER_SCHEME.match(value) and _is_balanced(value)
    return value if is_one else ""


def _is_balanced(value: str) -> bool:
    depth = 0
    for char in value:
        depth += {"(": 1, ")": -1}.get(char, 0)
        if depth < 0:
            return False
    return depth == 0
