"""The page stands alone and takes nothing from records but text."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from bot.audit.command import show
from tests.bot.audit.story import TASK

EVIL = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><script>",
    "javascript:alert(1)",
    "</td></table><iframe src=//evil>",
    "{{ 7*7 }}{% raw %}",
    "https://evil.example/x",
)
VOID = {"meta", "br"}
ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "main", "section", "h1", "h2", "h3", "p", "ul", "li", "table",
    "caption", "thead", "tbody", "tr", "th", "td", "code", "strong", "br",
}  # fmt: skip
ATTRIBUTES = {"lang", "charset", "http-equiv", "content", "name", "aria-labelledby", "id", "class", "role", "scope"}


class Reader(HTMLParser):
    """Reads tags, attributes and texts, and holds every tag to its end."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.heads: list[int] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.heads.append(int(tag[1]))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def read(path) -> Reader:
    return Reader(path.read_text("utf-8"))


def safe(page: Reader) -> None:
    """Hold a page to the few tags and attributes of its template."""
    assert set(page.tags) <= ALLOWED
    assert {name for _, name, _ in page.attributes} <= ATTRIBUTES
    assert page.open == []
    policy = next(value for tag, name, value in page.attributes if name == "content" and "default-src" in value)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")


def test_the_page_has_it_all(sealed, tmp_path, capsys):
    out = tmp_path / "page.html"

    assert show(sealed.repo, html=out, trust=sealed.trust_file(), log=sealed.log.write(tmp_path / "log")) == 0
    page = read(out)
    safe(page)
    text = " ".join(" ".join(page.texts).split())
    assert "Reached L4 (signed, anchored and logged) with no finding" in text
    for part in ("Not proven", "What was checked", "Approvals", "Models and cost", "Tests and verdict", "Timeline"):
        assert part in text
    assert "that the provider's model was the one named" in text
    assert "4 calls, 40 tokens in, 20 tokens out, $0.000000" in text
    assert text.count("github:40077") > 3
    raw = out.read_text()
    assert (
        raw.count("<tr class=vote>") == 9
    )  # three approvals, three decisions, three rulings when they were carried out
    assert len(re.findall(r'<td class="number">\d+</td><td>2026-', raw)) == len(sealed.lines)
    assert capsys.readouterr().out == f"{out}: 1 task\n"


def test_headings_go_down_step_by_step_and_tables_have_heads(sealed, tmp_path):
    show(sealed.repo, html=tmp_path / "page.html")
    page = read(tmp_path / "page.html")

    assert page.heads[:2] == [1, 2]
    assert all(after - before <= 1 for before, after in zip(page.heads, page.heads[1:], strict=False))
    assert page.tags.count("h1") == 1
    assert all(value in ("col", "row") for tag, name, value in page.attributes if tag == "th" and name == "scope")
    assert page.tags.count("th") == sum(name == "scope" for _, name, _ in page.attributes)
    assert ("html", "lang", "en") in page.attributes


def test_the_policy_names_exactly_our_style(sealed, tmp_path):
    show(sealed.repo, html=tmp_path / "page.html")
    raw = (tmp_path / "page.html").read_text()
    style = raw.partition("<style>")[2].partition("</style>")[0]

    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in raw
    assert not re.search(r"url\(|@import|@font-face|http|expression|//", style)


@pytest.mark.parametrize("evil", EVIL)
def test_what_records_say_is_text_and_nothing_else(story, tmp_path, evil):
    def bend(records):
        records[0]["data"]["path"] = evil
        for record in records:
            if record["kind"] == "model.call":
                record["data"]["provider"] = record["data"]["model"] = evil
            if record["kind"] == "test.run":
                record["data"]["suite"] = evil
            if record["kind"] == "command":
                record["data"]["target"] = evil
            if record["actor"]["type"] == "agent":
                record["actor"]["id"] = "agent:" + evil.replace(" ", "")

    lines = story.forge(bend)
    story.store(lines)
    (story.directory / f"{evil.replace('/', '_')}.md").write_bytes(b"x")  # a name that is a finding
    out = tmp_path / "page.html"

    assert show(story.directory, html=out) in (1, 2)
    page = read(out)
    safe(page)
    assert "".join(page.texts).count(evil) > 3
    assert "49" not in "".join(text for text in page.texts if "{{" in text)


def test_what_no_eye_sees_is_shown_as_such(story, tmp_path):
    def bend(records):
        records[0]["data"]["path"] = "acme/\u202epay\x07\u200b"

    show(story.store(story.forge(bend)), html=tmp_path / "page.html")
    raw = (tmp_path / "page.html").read_text()
    assert not {"\u202e", "\x07", "\u200b"} & set(raw)
    assert "acme/\N{REPLACEMENT CHARACTER}pay" in raw


def test_a_page_stops_where_belief_ends_and_says_what_is_wrong(story, tmp_path):
    lines = list(story.lines)
    lines[15] = lines[15].replace(b'"stop":"end"', b'"stop":"cut"')

    assert show(story.store(lines), html=tmp_path / "page.html") == 1
    page = read(tmp_path / "page.html")
    safe(page)
    text = " ".join(page.texts)
    assert "Not valid" in text
    assert "Stopped here: its hash is not what record 16 names" in text
    assert "15 records that can be believed" in text
    rows = re.findall(r'<td class="number">\d+</td><td>2026-', (tmp_path / "page.html").read_text())
    assert len(rows) == 15


def test_what_cannot_be_written_is_said(sealed, capsys):
    assert show(sealed.repo, html=sealed.repo / "no" / "page.html") == 3
    assert "GW-AUDIT-OUT" in capsys.readouterr().err
    assert show(sealed.repo, task="99-abcdef", html=sealed.repo / "page.html") == 4
    assert TASK not in capsys.readouterr().out
