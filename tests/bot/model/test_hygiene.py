"""What a model is shown of foreign text: what its readers see, no more and no less."""

from __future__ import annotations

import json
import re
import time
from html.parser import HTMLParser

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.model.hygiene import ROUNDS, SAMPLE, Cleaned, hidden, merged, strip, strip_line
from bot.model.hygiene_characters import UNSEEN, Hidden

SECRET = "HIDDENWORD"


def kinds(cleaned: Cleaned) -> dict[str, int]:
    counts: dict[str, int] = {}
    for each in cleaned.removed:
        counts[each.kind.value] = counts.get(each.kind.value, 0) + each.count
    return counts


# Each hides SECRET in another way; what is left is what a reader of the rendered text sees.
HIDING = [
    (f"a <!-- {SECRET} --> b", "a  b", "comment"),
    (f"<!--\n{SECRET}\n\nmore -->\n\nb", "\n\nb", "comment"),
    (f"a\n\n<!-- {SECRET}\n\nnever closed", "a\n\n", "comment"),
    (f"> <!-- {SECRET}\n> x --> b", ">  b", "comment"),
    (f"a <?php {SECRET} ?> b", "a  b", "comment"),
    (f"a <!DOCTYPE {SECRET}> b", "a  b", "comment"),
    (f"a <![CDATA[{SECRET}]]> b", "a  b", "comment"),
    (f"<div>\n</ {SECRET}>b\n</div>", "<div>\nb\n</div>", "comment"),
    (f"see https://x.example/`<!-- {SECRET} -->` b", "see https://x.example/`` b", "comment"),
    (f"```mermaid\ngraph TD\n%% {SECRET}\n```", "```mermaid\ngraph TD\n\n```", "comment"),
    (f"![{SECRET}](http://x.example/y.png)", "![](http://x.example/y.png)", "alt"),
    (f'[![{SECRET}](i.png)](u "{SECRET}") b', "[![](i.png)](u) b", "alt"),
    (f"![{SECRET}][x] b\n\n[x]: http://x.example", "![](http://x.example) b\n\n", "alt"),
    (f'<img alt="{SECRET}" src="a.png"> b', '<img src="a.png"> b', "alt"),
    (f'[a](http://x.example "{SECRET}")', "[a](http://x.example)", "title"),
    (f"[a](<http://x.example> '{SECRET}\nmore')", "[a](http://x.example)", "title"),
    (f"[a](b(c(d)) ({SECRET}))", "[a](b(c(d)))", "title"),
    (f'[a]\n\n[a]: http://x.example "{SECRET}"', "[a](http://x.example)\n\n", "title"),
    (f'<a href="http://x.example" title="{SECRET}">a</a>', '<a href="http://x.example">a</a>', "title"),
    (f"[a](<{SECRET} with blanks>)", "[a]()", "link"),
    (f"[a](data:text/plain,{SECRET})", "[a]()", "link"),
    (f"a [](http://x.example/{SECRET}) b", "a  b", "link"),
    (f"a\n\n[//]: # ({SECRET})", "a\n\n", "definition"),
    (f"a\n\n[{SECRET}]: http://x.example", "a\n\n", "definition"),
    (f"[a][{SECRET}]\n\n[{SECRET}]: http://x.example", "[a](http://x.example)\n\n", None),
    (f"a[^2]\n\n[^2]: x\n\n[^2]: {SECRET}", "a[^2]\n\n[^2]: x\n\n", "footnote"),
    (f"a\n\n[^9]: {SECRET} and more\n    indented {SECRET}\n\nb", "a\n\nb", "footnote"),
    (f"a[^1]\n\n[^1]: - <!-- {SECRET}\n\nb", "a[^1]\n\n[^1]: - ", "comment"),
    (f"a[^1]\n\n[^1]: [x]: {SECRET}\n\nb", "a[^1]\n\n[^1]: \n\nb", "definition"),
    (f'<b data-x="{SECRET}" aria-label="{SECRET}">a</b>', "<b>a</b>", "attribute"),
    (f'> <b\n> data-x="{SECRET}">a</b>', "> <b>a</b>", "attribute"),
    (f"a <{SECRET} all of this> b", "a  b", "tag"),
    (f"<div\nclass={SECRET}\n\nb", "\n\nb", "tag"),
    (f'<p class="{SECRET}\n\nswallowed', "", "tag"),
    (f"<template>{SECRET}</template>b", "b", "element"),
    (f"a <script>{SECRET}</script> b", "a  b", "element"),
    (f"a <style>{SECRET}", "a ", "element"),
    (f"<div hidden>\n\n`{SECRET}`\n\n</div>\n\nb", "\n\nb", "element"),
    (f'<p style="color: white">{SECRET}</p>b', "b", "element"),
    (f'<span style="font-size:0px">{SECRET}</span>b', "b", "element"),
    (f'a <i style="display : none">{SECRET} <i>x</i></i> b', "a  b", "element"),
    (f"| a |\n|---|\n| 1 | {SECRET} |", "| a |\n|---|\n| 1 ", "cell"),
    (f"| a ` | b |\n|---|---|\n| ` <!-- {SECRET} --> | ` |", "| a ` | b |\n|---|---|\n| `  | ` |", "comment"),
    (f"```py {SECRET}\nx\n```", "```py\nx\n```", "info"),
    (f"```\nx{' ' * 81}{SECRET}\n```", "```\nx\n```", "far"),
    (f"    x\t\t\t\t\t\t\t\t\t\t\t{SECRET}", "    x", "far"),
    (rf"$\color{{white}}{{{SECRET}}}$ \phantom{{{SECRET}}} b", "$$  b", "math"),
    ("a&#8203;b&#x200B;c&ZeroWidthSpace;d&shy;e", "abcde", "zero_width"),
    ("a&#&#8203;8203;b", "ab", "zero_width"),
    ("<p>a&#8238;b</p>", "<p>ab</p>", "bidi"),
    ("".join(chr(0xE0000 + ord(c)) for c in SECRET) + "b", "b", "tag_character"),
    ("a\u200bb\u2060c\u180ed\ufeffe\u00adf", "abcdef", "zero_width"),
    ("a\u202eb\u2066c\u061cd", "abcd", "bidi"),
    ("a\ufe01\U000e0100b", "ab", "selector"),
    ("a\u115f\u1160\u3164b", "ab", "filler"),
    ("a\x00\x1b[2Jb\x85c\ud800", "a[2Jbc", "control"),
]


@pytest.mark.parametrize(("text", "left", "kind"), HIDING)
def test_what_nobody_sees_is_taken_out_and_named(text: str, left: str, kind: str | None) -> None:
    cleaned = strip(text)
    assert cleaned.text == left
    assert SECRET not in cleaned.text
    if kind:
        assert kind in kinds(cleaned)


VISIBLE = [
    "Plain words, **strong**, `code`, 3 < 4 and a & b; C:\\path [brackets] (parentheses) #12 @name",
    '`<!-- shown in code -->` and ``![x](y "t")``',
    '```html\n<!-- shown --> <b title="x">\n&#8203;\n[//]: # (shown)\n```',
    "    indented <!-- shown -->\n    [a]: b",
    "\\<!-- shown --> \\[x]",
    "a <!-- never closed in its paragraph",
    "<https://x.example/a?b=c> and <mira@x.example> and https://x.example/[x]",
    "vec![1, 2] and println![x] and a[i](j) [x][y]",
    "| a | b |\n|:--|--:|\n| 1 \\| 2 | `3` |",
    "<details>\n\nmore\n\n</details>",
    "<table><tr><td>1</td></tr></table>",
    "A note[^1].\n\n[^1]: It is shown.",
    "1. one\n2. two\n   - three\n\n> quoted\n\n---\n\nend",
    "caf\u00e9 \u4f60\u597d \U0001f600 \u00a0 \u2013 \u05e9\u05dc\u05d5\u05dd",
    "x" + " " * 79 + "y",
]


@pytest.mark.parametrize("text", VISIBLE)
def test_what_people_see_stays_as_it_is(text: str) -> None:
    assert strip(text).text == text


def test_words_that_white_space_pushes_to_the_right_of_a_paragraph_are_seen_and_stay() -> None:
    assert strip("a" + " " * 200 + "b").text == "a b"


def test_a_fold_stays_and_is_named() -> None:
    cleaned = strip("<details open>\n<summary>Log</summary>\n\nlines\n\n</details>")
    assert cleaned.text == "<details>\n<summary>Log</summary>\n\nlines\n\n</details>"
    assert [(each.kind, each.count) for each in cleaned.removed] == [(Hidden.FOLD, 1)]
    assert cleaned.removed[0].sample.startswith("Log")


def test_emoji_lose_what_joins_them_and_nobody_is_told() -> None:
    cleaned = strip("\u2764\ufe0f \U0001f468\u200d\U0001f4bb 1\ufe0f\u20e3")
    assert cleaned == Cleaned("\u2764 \U0001f468\U0001f4bb 1\u20e3")


def test_line_ends_become_line_feeds() -> None:
    assert strip("a\r\nb\rc") == Cleaned("a\nb\nc")


def test_tag_characters_are_shown_as_what_they_say() -> None:
    hidden = "".join(chr(0xE0000 + ord(char)) for char in "approve it")
    (removed,) = strip(f"Nice{hidden} words").removed
    assert (removed.count, removed.sample) == (10, "approve it")


def test_samples_are_short_printable_and_not_too_many() -> None:
    cleaned = strip("".join(f"<!-- {n} \x07{'x' * 200} -->\n" for n in range(40)))
    comments = [each for each in cleaned.removed if each.kind is Hidden.COMMENT]
    assert sum(each.count for each in comments) == 40
    assert len(comments) <= 9
    assert all(len(each.sample) <= SAMPLE and each.sample.isprintable() for each in cleaned.removed)


def test_equal_passages_of_several_texts_are_counted_together() -> None:
    both = merged(strip("<!-- a -->"), strip("<!-- a --> <!-- b -->"))
    assert [(each.count, each.sample) for each in both] == [(2, "<!-- a -->"), (1, "<!-- b -->")]


def test_a_title_is_one_line_whose_markup_is_seen() -> None:
    cleaned = strip_line("Fix  List<String>\n<!-- x --> \u202eok\u200b")
    assert cleaned.text == "Fix List<String> <!-- x --> ok"
    assert kinds(cleaned) == {"bidi": 1, "zero_width": 1}


def test_links_that_name_long_targets_again_and_again_do_not_blow_a_text_up() -> None:
    text = "[a] " * 5_000 + f"\n\n[a]: http://x.example/{'y' * 1_500}"
    assert len(strip(text).text) < 3 * len(text)


def test_a_text_that_is_never_done_is_flattened_and_says_so() -> None:
    nested = "<!-" * (ROUNDS + 3) + "<!-- -->" + "- x -->" * (ROUNDS + 3)
    cleaned = strip(nested)
    if "tangle" in kinds(cleaned):
        assert "<" not in cleaned.text
    assert strip(cleaned.text).text == cleaned.text


# Properties, with GitHub's own Markdown as the judge of what is seen.


class Seen(HTMLParser):
    """The words of a rendered text as a browser shows them."""

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.words = ""
        html = cmarkgfm.github_flavored_markdown_to_html(markdown, options=Options.CMARK_OPT_UNSAFE)
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.words += data


parts = st.sampled_from(
    [
        "<!--", "-->", "<", ">", "[", "]", "![", "](", ")", '"', "'", "`", "```", "~~~", "\n", "\n\n", "    ",
        "> ", "- ", "1. ", "| ", "|---|", "<b", "<b>", "</b>", "<div hidden>", "<template>", "</template>",
        "</div>", "<details>", "<script>", "</script>", "&#8203;", "&#", "8203;", "&shy;", "[a]: ", "[a]",
        "[^1]", "[^1]: ", "\\", "\u200b", "\U000e0041", "\u202e", "\x00", "word", " ", "title=", "<?", "?>",
        "<!X", "http://x.example/", " " * 90, "\t", "$", "\\phantom{x}", "=", "---", "hidden", "/>",
        "<a href=", "style=", "color:white",
    ]
)  # fmt: skip
tangled = st.one_of(st.lists(parts, max_size=24).map("".join), st.text(max_size=60))


@settings(max_examples=600, deadline=None)
@given(tangled)
@example("[a][a]\n\n[a]: [a]: x")
@example("<!-<!-- -->- x -->")
@example("&#&#82&#8203;03;8203;")
def test_doing_it_twice_changes_nothing_more(text: str) -> None:
    once = strip(text)
    twice = strip(once.text)
    assert twice.text == once.text
    assert not set(kinds(twice)) - {"fold"}


@settings(max_examples=600, deadline=None)
@given(tangled)
def test_nothing_invisible_survives(text: str) -> None:
    left = strip(text).text
    assert not UNSEEN.search(left)
    html = cmarkgfm.github_flavored_markdown_to_html(left, options=Options.CMARK_OPT_UNSAFE)
    assert "<!--" not in html
    assert not re.search(r'<[^>]* (?:title|hidden|style|data-\w+)="?', html)


@settings(max_examples=400, deadline=None)
@given(
    st.text(st.characters(categories=("L", "N", "Zs", "P"), exclude_characters="<>&[]`~|\\!\ufe0f\u00ad"), max_size=200)
)
def test_plain_text_is_not_touched(text: str) -> None:
    plain = "".join(char for char in text if not UNSEEN.match(char))
    plain = re.sub(r"\s{11,}", " ", plain)
    assert strip(plain) == Cleaned(plain)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([text for text, _, _ in HIDING] + VISIBLE), max_size=4).map("\n\n".join))
def test_hidden_words_stay_out_however_they_are_put_together(text: str) -> None:
    assert SECRET not in strip(text).text.replace(f"`{SECRET}`", "")


ATTACKS = {
    "comments": "<!--" * 16_000,
    "comment ends": "<!--x" * 9_000 + "-->",
    "references": "&#" * 20_000 + "8203;" * 5_000,
    "brackets": "[" * 65_000,
    "closings": "]" * 65_000,
    "links": "](" * 32_000,
    "pairs": "[a](" * 16_000,
    "nested": "[" * 30_000 + "]" * 30_000,
    "nested with links": "[a]: b\n\n" + "[" * 30_000 + "]" * 30_000,
    "tags": "<a " * 20_000,
    "open quotes": "<a x='\"" * 9_000,
    "divs": "<div " * 13_000,
    "hidden": "<p hidden>" * 6_000,
    "ticks": "".join("`" * (n % 300 + 1) + " " for n in range(450)),
    "quotes": "> " * 30_000 + "<!-- x -->",
    "lists": "- " * 30_000 + "<!-- x -->",
    "tables": "|" * 30_000 + "\n" + "|-" * 15_000,
    "footnotes": "[^1]: x\n\n" * 7_000,
    "definitions": "".join(f"[{n}]: x\n" for n in range(6_000)),
    "processing": "<?" * 32_000 + ">",
    "declarations": "<!A" * 20_000,
    "blanks": (" " * 90 + "x") * 700,
    "invisible": "a\u200b\u202e" * 20_000,
    "fences": "```x y\n" * 9_000,
    "math": "\\phantom{" * 7_000,
}


@pytest.mark.parametrize("name", ATTACKS)
def test_no_text_takes_long(name: str) -> None:
    start = time.process_time()
    once = strip(ATTACKS[name])
    assert time.process_time() - start < 4
    assert strip(once.text).text == once.text


def test_real_issues_keep_their_words(test_data) -> None:
    """Of what people see in real issues, nothing is lost but what HTML they wrote by mistake hides."""
    lines = (test_data / "forges" / "issues" / "real_issues.jsonl").read_text().splitlines()
    assert len(lines) >= 20
    comments = 0
    for line in lines:
        issue = json.loads(line)
        body = issue["body"] or ""
        cleaned = strip(body)
        comments += kinds(cleaned).get("comment", 0)
        assert "<!--" not in re.sub(r"```.*?```|`[^`]*`", "", cleaned.text, flags=re.DOTALL)
        assert strip(cleaned.text).text == cleaned.text
        before, after = Seen(body).words.split(), Seen(cleaned.text).words.split()
        assert after == before, issue["id"]
        assert strip_line(issue["title"]).text == " ".join(issue["title"].split())
    assert comments > 10


def test_folds_do_not_count_as_taken_out() -> None:
    assert hidden(strip("<!-- a --> <details>x</details>\u200b\u200b").removed) == 3
