"""What may not be committed, decided without a repository."""

from __future__ import annotations

import pytest

from runners.workspace.patch import NONE, Caps, Change, Patch, Rule, Stray, clashes, judge_name, leaves_tree, review


def rules(*changes: Change, caps: Caps | None = None) -> list[Rule]:
    return [f.rule for f in review(Patch(base="b", tree="t", files=changes), caps or Caps())]


def added(path: str, mode: str = "100644", **more) -> Change:
    return Change(path=path, status="A", old_mode="000000", mode=mode, **more)


def test_an_ordinary_change_has_no_finding():
    assert rules(added("src/app.py"), added("bin/run", "100755"), added(".gitignore"), added(".gitattributes")) == []


def test_submodules_are_refused_and_may_be_deleted():
    assert rules(added("lib", "160000")) == [Rule.GITLINK]
    assert rules(Change(path="lib", status="D", old_mode="160000", mode="000000")) == []


@pytest.mark.parametrize(
    ("path", "target", "leaves"),
    [
        ("a", "b", False),
        ("docs/a", "../b", False),
        ("docs/a", "./b/c", False),
        ("a/b/c", "../../x", False),
        ("a", "/etc/passwd", True),
        ("a", "../b", True),
        ("docs/a", "../../b", True),
        ("docs/a", "b/../../../x", True),
        ("a", "d/..", True),  # d may be a link
        ("a", ".git/config", True),
        ("a", "sub/.GIT/hooks", True),
        ("a", "", True),
        ("a", "b\0c", True),
    ],
)
def test_links_stay_in_the_tree(path, target, leaves):
    assert leaves_tree(path, target) is leaves


def test_a_link_that_leaves_is_found_in_a_patch():
    assert rules(added("a", "120000", target="/etc/shadow")) == [Rule.LINK]


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        (".git/config", Rule.GIT),
        ("sub/.GiT/hooks/pre-commit", Rule.GIT),
        ("git~1/config", Rule.GIT),
        (".git /config", Rule.GIT),
        (".git./config", Rule.GIT),
        (".git::$INDEX_ALLOCATION/config", Rule.GIT),
        (".g\u200cit/config", Rule.GIT),
        (".gatewright/tasks/1-aaaaaa/qa.md", Rule.EVIDENCE),
        (".gatewright/tasks", Rule.EVIDENCE),
        (".Gatewright/Tasks/x", Rule.EVIDENCE),
        (".gatewright", Rule.EVIDENCE),
        ("a\\b", Rule.NAME),
        ("a\nb", Rule.NAME),
        ("x" * 256, Rule.NAME),
        ("\udcff", Rule.NAME),
        ("d/" * 600 + "x", Rule.NAME),
    ],
)
def test_names_that_mean_something_else_elsewhere_are_refused(path, rule):
    wrong = judge_name(path)
    assert wrong is not None
    assert wrong[0] is rule


@pytest.mark.parametrize("path", [".gitignore", ".github/workflows/ci.yml", "a/.gatewright/tasks/x", "ü/ß"])
def test_names_that_only_look_alike_pass(path):
    assert judge_name(path) is None


@pytest.mark.parametrize("path", [".gatewright.toml", ".GateWright.toml"])
def test_what_steers_the_bot_is_changed_by_no_task(path):
    """Neither written nor taken away: without it the server's policy is not narrowed any more."""
    assert rules(added(path)) == [Rule.STEERING]
    assert rules(Change(path=path, status="D", old_mode="100644", mode=NONE)) == [Rule.STEERING]
    assert rules(added(f"docs/{path}")) == [], "it counts at the top only"


def test_where_submodules_come_from_is_not_for_agents():
    assert rules(added(".gitmodules")) == [Rule.SUBMODULES]


def test_size_is_bounded_by_file_in_all_and_by_number():
    caps = Caps(files=2, file_bytes=10, total_bytes=15)
    assert rules(added("a", size=11), caps=caps) == [Rule.SIZE]
    assert rules(added("a", size=8), added("b", size=8), caps=caps) == [Rule.SIZE]
    assert rules(added("a"), added("b"), added("c"), caps=caps) == [Rule.SIZE]
    assert rules(added("a", size=10), caps=caps) == []


def test_strays_and_clashes_are_findings_too():
    patch = Patch(base="b", tree="t", strays=(Stray(Rule.SPECIAL, "pipe", "is no file"),), clashes=("README",))
    assert [f.rule for f in review(patch)] == [Rule.SPECIAL, Rule.CLASH]


def test_names_that_differ_by_case_or_form_clash():
    assert clashes(["README", "ReadMe", "a"], ["ReadMe", "a"]) == ("ReadMe",)
    assert clashes(["Docs/a", "docs/b"], ["docs/b"]) == ("docs/b",)
    assert clashes(["caf\u00e9", "cafe\u0301"], ["cafe\u0301"]) == ("cafe\u0301",)
    assert clashes(["a/x", "a/y"], ["a/y"]) == ()
