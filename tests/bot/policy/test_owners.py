"""CODEOWNERS of GitHub and GitLab: whom the touched paths ask for."""

from __future__ import annotations

import pytest

from bot.model.errors import GatewrightError
from bot.policy.owners import LIMIT, owner_groups


def owners(text: str, *paths: str, sections: bool = False) -> set[tuple[tuple[str, ...], int]]:
    return {(group.owners, group.needed) for group in owner_groups(text, paths, sections=sections)}


def owned(pattern: str, path: str, *, sections: bool = False) -> bool:
    return bool(owner_groups(f"{pattern} @x", (path,), sections=sections))


BOTH = [
    ("*", "a", True), ("*", "deep/er/.hidden", True),
    ("*.js", "a.js", True), ("*.js", "deep/a.js", True), ("*.js", "a.jsx", False),
    ("/docs/", "docs/a.md", True), ("/docs/", "docs/deep/a.md", True), ("/docs/", "x/docs/a.md", False),
    ("/docs/", "docs", False), ("apps/", "apps/a", True), ("apps/", "x/apps/y/a", True), ("apps/", "xapps/a", False),
    ("/docs/*", "docs/a.md", True), ("/docs/*", "docs/deep/a.md", False),
    ("/docs/*.md", "docs/a.md", True), ("/docs/*/README.md", "docs/a/README.md", True),
    ("/docs/*/README.md", "docs/a/b/README.md", False), ("/docs/*/README.md", "docs/README.md", False),
    ("/docs/**/index.md", "docs/index.md", True), ("/docs/**/index.md", "docs/a/b/index.md", True),
    ("/docs/**", "docs/a/b", True), ("/docs/**", "docs", False), ("**/x/**/y", "x/y", True),
    ("**/x/**/y", "a/x/b/c/y", True),
    ("**/x/**/y", "a/x/b/z", False), ("/README.md", "README.md", True), ("/README.md", "a/README.md", False),
    ("README.md", "a/README.md", True), ("a?c", "abc", True), ("a?c", "a/c", False), ("/[ab]/c", "b/c", True),
    ("path\\ with\\ spaces/", "path with spaces/a", True), ("\\#hash", "#hash", True), ("a\\*b", "a*b", True),
    ("a\\*b", "axb", False), ("/A", "a", False), ("/a\\!", "a!", True),
]  # fmt: skip
GITHUB = [
    ("docs/*", "docs/a.md", True), ("docs/*", "docs/deep/a.md", False), ("docs/*", "x/docs/a.md", False),
    ("/apps/github", "apps/github/a/b", True), ("apps", "x/apps/a", True), ("**/logs", "build/logs/a", True),
    ("internal/README.md", "docs/internal/README.md", False), ("/*", "a", True), ("/*", "a/b", False),
]  # fmt: skip
GITLAB = [
    ("docs/*", "x/docs/a.md", True), ("internal/README.md", "docs/internal/README.md", True),
    ("/apps/gitlab", "apps/gitlab/a", False), ("/apps/gitlab", "apps/gitlab", True),
    ("ee/docs/", "x/ee/docs/a/b", True),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "path", "is_owned"), BOTH + GITHUB)
def test_patterns_match_as_on_github(pattern, path, is_owned):
    assert owned(pattern, path) is is_owned


@pytest.mark.parametrize(("pattern", "path", "is_owned"), BOTH + GITLAB)
def test_patterns_match_as_on_gitlab(pattern, path, is_owned):
    assert owned(pattern, path, sections=True) is is_owned


def test_the_last_match_wins():
    text = "* @all\n*.js @js @org/web\n/apps/ @apps\n/apps/github\n"
    assert owners(text, "a.py") == {(("@all",), 1)}
    assert owners(text, "a.js") == {(("@js", "@org/web"), 1)}
    assert owners(text, "apps/a.js") == {(("@apps",), 1)}
    assert owners(text, "apps/github/a") == set(), "owners left empty ask for nobody"
    assert owners(text, "a.py", "b.py", "a.js") == {(("@all",), 1), (("@js", "@org/web"), 1)}


def test_sets_of_owners_are_told_apart_by_who_is_in_them():
    assert owners("/a @X @y\n/b @Y @x @x\n", "a", "b") == {(("@X", "@y"), 1)}


def test_comments_and_blank_lines_say_nothing():
    text = "\ufeff# head\r\n\r\n  \n*.js @js #This is an inline comment. @else\r\n\t/b\t@t\t\n"
    assert owners(text, "a.js") == {(("@js",), 1)}
    assert owners(text, "b") == {(("@t",), 1)}
    assert owners("", "a") == set()


def test_words_that_are_no_owners_count_only_where_nothing_else_does():
    assert owners("* anna @b", "a") == {(("@b",), 1)}
    (group,) = owner_groups("* anna", ("a",), sections=False)
    assert group.owners == ("anna",), "a slip of the pen does not open the gate"


def test_github_knows_no_sections_and_no_exclusions():
    assert owners("* @a\n!x @b\n", "x") == {(("@a",), 1)}
    assert owners("* @a\n[Docs] @b\nx\n", "x") == set(), "`[Docs]` is a pattern, `x` a line without owners"


SECTIONS = """
* @general

[Documentation][2] @docs-team
docs/
README.md @readme
*.txt

^[Optional] @nobody
docs/

[Database] @db @agarcia
model/db/
!model/db/generated/
config/db/setup.md @docs-team
"""


def test_each_section_is_matched_by_itself():
    assert owners(SECTIONS, "a.py", sections=True) == {(("@general",), 1)}
    assert owners(SECTIONS, "docs/a.md", sections=True) == {(("@general",), 1), (("@docs-team",), 2)}
    assert owners(SECTIONS, "docs/README.md", sections=True) == {(("@general",), 1), (("@readme",), 2)}
    assert owners(SECTIONS, "model/db/CHANGELOG.txt", sections=True) == {
        (("@general",), 1), (("@docs-team",), 2), (("@db", "@agarcia"), 1),
    }  # fmt: skip
    assert owners(SECTIONS, "config/db/setup.md", "docs/a", sections=True) == {
        (("@general",), 1), (("@docs-team",), 2),
    }  # fmt: skip


def test_an_exclusion_takes_a_path_out_of_its_section_only():
    assert owners(SECTIONS, "model/db/generated/a", sections=True) == {(("@general",), 1)}
    assert owners("[A]\n!x/\n* @a\n", "x/y", sections=True) == set(), "in whatever order"
    assert owners("[A]\n!x/ @b\n* @a\n[B]\n* @c\n", "x/y", sections=True) == {(("@c",), 1)}


def test_sections_of_one_name_are_one_and_the_stricter_heading_holds():
    text = "^[Docs] @a\n*.md\n[DOCS ][3]\n*.txt @b\n[docs]\n*.rst\n"
    assert owners(text, "x.md", sections=True) == {(("@a",), 3)}
    assert owners(text, "x.txt", sections=True) == {(("@b",), 3)}
    assert owners(text, "x.rst", sections=True) == {(("@a",), 3)}


@pytest.mark.parametrize(
    ("heading", "needed"), [("[A][0]", 1), ("[A][x]", 1), ("[A][]", 1), ("[A][-2]", 1), ("[A][2]", 2)]
)
def test_a_number_that_is_none_is_one(heading, needed):
    assert owners(f"{heading} @a\n*\n", "x", sections=True) == {(("@a",), needed)}


def test_a_heading_that_is_none_is_a_line():
    assert owners("[Docs] @a\ndocs/ @d\n[Section name\nx\n", "x", sections=True) == {(("@a",), 1)}
    assert owners("[ab].py @a\n", "b.py", sections=True) == {(("@a",), 1)}
    assert owners("[Docs]\nx\n", "x", sections=True) == set()


def test_a_hostile_name_takes_no_time():
    assert not owned("*a*a*a*a*a*a*a*a*a*a*b", "a" * 4_000)
    assert not owned("/".join(["**", "x"] * 30), "y/" * 500 + "x/" * 29 + "y")


def test_a_file_beyond_the_limit_is_none():
    with pytest.raises(GatewrightError) as caught:
        owner_groups("#" * (LIMIT + 1), ("a",), sections=False)
    assert caught.value.code == "GW-POLICY-OWNERS"


def test_of_two_headings_one_that_requires_is_enough_in_either_order():
    for text in ("[A] @a\nx\n^[A]\n", "^[A] @a\nx\n[A]\n"):
        assert owners(text, "x", sections=True) == {(("@a",), 1)}
    assert owners("^[A] @a\nx\n^[A]\n", "x", sections=True) == set()


def test_owners_of_two_sections_are_one_group_of_the_larger_number():
    for text in ("[A][2] @a\nx\n[B] @a\ny\n", "[A] @a\nx\n[B][2] @a\ny\n"):
        assert owners(text, "x", "y", sections=True) == {(("@a",), 2)}
