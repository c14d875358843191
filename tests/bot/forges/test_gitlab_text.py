"""The door to GitLab: nothing that passes acts, and nothing that passes loses its meaning."""

from __future__ import annotations

import re

import cmarkgfm
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.forges import gitlab_text
from bot.model.errors import UsageError
from tests.simulators.gitlab.quick_actions import NAMES, SUBSTITUTIONS, found

BOT = "gatewright"
EVERY = sorted(NAMES | set(SUBSTITUTIONS))
SPACE = ["", " ", "\t", "\n", "\r", "\r\n", "\n\r", "\x0b", "\x0c", "\u2028", "\u200b", "\0", "> ", "- ", "    "]
CODE = ["```", "````", "~~~", "`", ">>>", "<details>", "</details>", "<pre>", "</pre>", "<!--", "-->"]


def cased(name: str) -> st.SearchStrategy[str]:
    return st.lists(st.booleans(), min_size=len(name), max_size=len(name)).map(
        lambda ups: "".join(c.upper() if up else c for c, up in zip(name, ups, strict=True))
    )


COMMANDS = st.sampled_from(EVERY).flatmap(cased).map(lambda name: f"/{name}")
PIECES = st.one_of(
    COMMANDS, st.sampled_from(SPACE), st.sampled_from(CODE), st.just(f"/{BOT} approve"), st.text(max_size=8)
)
TEXTS = st.lists(PIECES, max_size=14).map("".join)


@given(TEXTS)
@example("/merge")
@example("\r/close")
@example("x\r/close now")
@example("\0/close")
@example("```\nx\n```\n/approve")
@example("/aßign @root")
@settings(max_examples=1_500, deadline=None)
def test_no_text_acts_on_any_gitlab_old_or_new(text: str) -> None:
    assert found(gitlab_text.harmless(text, BOT)) == ()
    assert found(gitlab_text.description(text, BOT)) == ()
    assert found(gitlab_text.one_note(text, BOT, 2_000)) == ()
    for part in gitlab_text.notes(text * 40, BOT, 1_000):
        assert found(part) == ()
        assert found(part.strip()) == (), "also where the blanks around a note are stripped on the way"


@pytest.mark.parametrize("name", EVERY)
def test_every_name_is_disarmed_and_still_shown(name: str) -> None:
    text = f"/{name}\n/{name.upper()} x\nwords\n/{name} y"
    assert found(text), "the rule of the test knows it"
    sent = gitlab_text.harmless(text, BOT)
    assert found(sent) == ()
    assert re.sub("[ \u200b]", "", sent) == text.replace(" ", "")


def test_our_own_command_stays_as_people_must_type_it() -> None:
    body = "Comment:\n\n```\n/gatewright approve 0123456789ab\n```\n/gatewright\n/gatewrights\n/gatewright-x"
    sent = gitlab_text.harmless(body, BOT).split("\n")
    assert sent[3] == "/gatewright approve 0123456789ab"
    assert sent[5:] == ["/gatewright", " /gatewrights", " /gatewright-x"]


@given(TEXTS)
def test_the_door_is_passed_twice_like_once(text: str) -> None:
    once = gitlab_text.harmless(text, BOT)
    assert gitlab_text.harmless(once, BOT) == once


@pytest.mark.parametrize("name", [name for name in EVERY if "_" not in name and name != "wip"])
def test_a_bot_cannot_be_named_after_a_command(name: str) -> None:
    with pytest.raises(UsageError) as refused:
        gitlab_text.check_name(name)
    assert refused.value.code == "GW-GITLAB-BOT-NAME"
    gitlab_text.check_name(f"{name}-bot")


@given(st.text(max_size=400), st.booleans())
def test_a_title_is_one_short_line_that_is_no_command(text: str, draft: bool) -> None:
    made = gitlab_text.title(text, draft=draft)
    assert 0 < len(made) <= 255
    assert "\n" not in made
    assert "\r" not in made
    assert found(made) == ()
    assert made.startswith("Draft: ") or not draft
    assert len(gitlab_text.status_text(text)) <= 255


LONG = (
    "# Head\n\n<details><summary><b>All of it</b></summary>\n\n"
    + "".join(f"line {n}\n" for n in range(200))
    + "\n```python\n"
    + "".join(f"code {n}\n" for n in range(300))
    + "```\n\n</details>\n\nend\n<!-- marker -->"
)


def test_a_long_text_is_split_with_code_and_folds_closed_and_opened_again() -> None:
    parts = gitlab_text.notes(LONG, BOT, 1_500)
    assert len(parts) > 3
    assert "<!-- marker -->" in parts[-1]
    for part in parts:
        assert len(part) <= 1_500
        assert part.count("<details>") == part.count("</details>")
        assert part.count("```") % 2 == 0
    assert all("goes on in the next note" in part for part in parts[:-1])
    whole = "\n".join(parts)
    assert [int(n) for n in re.findall(r"^line (\d+)$", whole, re.MULTILINE)] == list(range(200))
    assert [int(n) for n in re.findall(r"^code (\d+)$", whole, re.MULTILINE)] == list(range(300))
    shown = [cmarkgfm.github_flavored_markdown_to_html(part) for part in parts]
    assert not [html for html in shown if "code" in re.sub(r"<pre.*?</pre>", "", html, flags=re.DOTALL)]


@example("/add_child<details>" * 60, 900)
@given(TEXTS.map(lambda text: text * 60), st.integers(900, 2_000))
@settings(deadline=None)
def test_no_part_is_longer_than_the_limit(text: str, limit: int) -> None:
    for part in gitlab_text.notes(text, BOT, limit):
        assert len(part) <= limit + part.count("\n") + 1  # the headroom below GitLab's own limit


def test_what_must_stay_one_text_is_shortened_and_says_so() -> None:
    made = gitlab_text.one_note(LONG, BOT, 1_000)
    assert len(made) <= 1_000
    assert made.endswith("*(shortened)*")
    assert made.count("<details>") == made.count("</details>")
    assert gitlab_text.one_note("short", BOT) == "short"
