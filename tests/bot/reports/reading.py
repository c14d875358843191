"""Read a comment as its readers do: through a forge's Markdown, then as HTML."""

from __future__ import annotations

from html.parser import HTMLParser

import cmarkgfm
from cmarkgfm.cmark import Options

OURS = {"details", "summary", "b", "sub", "a"}
MARKDOWN = {"p", "blockquote", "h1", "h2", "h3", "h4", "strong", "em", "code", "pre", "ul", "ol", "li", "del", "br"}
TABLE = {"table", "thead", "tbody", "tr", "th", "td"}
VOID = {"br", "hr", "img", "input"}


class Page(HTMLParser):
    """Tags, words outside code, comments, links and faults of nesting."""

    def __init__(self, markdown: str, *, hard_breaks: bool = True) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.words = ""
        self.comments: list[str] = []
        self.links: list[tuple[str, str]] = []
        self.faults: list[str] = []
        breaks = Options.CMARK_OPT_HARDBREAKS if hard_breaks else 0
        self.html = cmarkgfm.github_flavored_markdown_to_html(markdown, options=Options.CMARK_OPT_UNSAFE | breaks)
        self.feed(self.html)
        self.close()
        self.faults += [f"{tag} is never closed" for tag in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "a":
            self.links.append((dict(attrs).get("href") or "", ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            self.faults.append(f"</{tag}> closes {self.open[-1:]}")
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if "a" in self.open and self.links:
            self.links[-1] = (self.links[-1][0], self.links[-1][1] + data)
        if not {"code", "pre"} & set(self.open):
            self.words += data

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)
