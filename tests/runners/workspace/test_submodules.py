"""Where submodules come from: as git resolves it, and nowhere but below what the operator allows."""

from __future__ import annotations

import pytest

from runners.workspace.git import Git
from runners.workspace.submodules import MOST, Module, is_allowed, is_same, named, resolve
from tests.runners.workspace.kit import Source, sh

ABOVE = "https://forge.test/group/app.git"
PREFIX = ("https://forge.test/group/",)
COMMIT = "1" * 40


@pytest.mark.parametrize("url", ["../lib", "../lib.git", "./sub", "../../other/lib", "../x/../../y", "../lib/"])
def test_relative_urls_lead_where_git_says(url, place):
    """Git itself is asked: `submodule init` writes down what it has made of a URL."""
    repository = Source(place / "asked")
    repository.git(f"remote add origin {ABOVE}")
    (repository.path / ".gitmodules").write_text(f'[submodule "s"]\n\tpath = s\n\turl = {url}\n')
    repository.git(f"update-index --add --cacheinfo 160000,{COMMIT},s")
    repository.git("submodule init -q")
    said = repository.git("config submodule.s.url")
    found = resolve(ABOVE, url)
    assert is_same(found, said) or found == said or ".." in found  # git leaves an inner `..` as it is, and so do we


def test_a_relative_url_never_leaves_the_host(place):
    repository = Source(place / "asked")
    repository.git(f"remote add origin {ABOVE}")
    url = "../../../evil.test/x"
    (repository.path / ".gitmodules").write_text(f'[submodule "s"]\n\tpath = s\n\turl = {url}\n')
    repository.git(f"update-index --add --cacheinfo 160000,{COMMIT},s")
    repository.git("submodule init -q")
    assert "//evil.test" in repository.git("config submodule.s.url").replace("https:/evil", "https://evil")
    assert resolve(ABOVE, url) == ""
    assert resolve("/srv/app", "../lib") == ""


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://forge.test/group/lib", True),
        ("https://forge.test/group/lib.git", True),
        ("https://FORGE.test:443/group/deeper/lib.git/", True),
        ("https://forge.test/group", True),
        ("https://forge.test/groups/lib", False),
        ("https://forge.test/group-evil/lib", False),
        ("https://forge.test/other/lib", False),
        ("https://forge.test/group/../other/lib", False),
        ("https://forge.test/group/./lib", False),
        ("https://forge.test/group//lib", False),
        ("https://forge.test/group/%2e%2e/other/lib", False),
        ("https://forge.test/group/lib?x=1", False),
        ("https://forge.test/group/lib#x", False),
        ("http://forge.test/group/lib", False),
        ("https://forge.test:8443/group/lib", False),
        ("https://forge.test.evil.test/group/lib", False),
        ("https://forge.test@evil.test/group/lib", False),
        ("https://evil.test\\@forge.test/group/lib", False),
        ("https://user:pass@forge.test/group/lib", False),
        ("https://forge.test/group/lib\n", False),
        ("\x01https://forge.test/group/lib", False),
        ("https://forge.test:x/group/lib", False),
        ("ext::sh -c touch% /tmp/x", False),
        ("file:///srv/git/lib", False),
        ("/srv/git/lib", False),
        ("ssh://git@forge.test/group/lib", False),
        ("git@forge.test:group/lib", False),
        ("git://forge.test/group/lib", False),
        ("--upload-pack=touch /tmp/x", False),
        ("", False),
    ],
)
def test_only_plain_addresses_below_a_prefix_are_allowed(url, allowed):
    assert is_allowed(url, PREFIX) is allowed
    assert not is_allowed(url, ())


def test_a_prefix_may_be_one_repository_or_a_whole_host():
    assert is_allowed("https://forge.test/a/b", ("https://forge.test/a/b.git",))
    assert not is_allowed("https://forge.test/a/bc", ("https://forge.test/a/b.git",))
    assert is_allowed("http://forge.test:3000/x", ("http://forge.test:3000/",))


def _write(source: Source, modules: str, *paths: str) -> str:
    (source.path / ".gitmodules").write_text(modules)
    source.git("add -A")
    for path in paths:
        source.git(f"update-index --add --cacheinfo 160000,{COMMIT},{path}")
    source.git("commit -q -m modules")
    return source.git("rev-parse HEAD")


async def _named(source: Source, commit: str, prefixes: tuple[str, ...] = PREFIX) -> dict[str, Module]:
    return {each.path: each for each in await named(Git(source.path / ".git"), commit, ABOVE, prefixes)}


async def test_each_link_has_its_url_or_a_reason_why_not(source):
    text = (
        '[submodule "a"]\n\tpath = a\n\turl = ../a\n'
        '[submodule "b"]\n\tpath = b\n\turl = https://evil.test/b\n'
        '[submodule "c1"]\n\tpath = c\n\turl = ../c\n[submodule "c2"]\n\tpath = c\n\turl = ../d\n'
        '[submodule "gone"]\n\tpath = gone\n\turl = ../gone\n[submodule "e"]\n\tpath = e\n'
    )
    found = await _named(source, _write(source, text, "a", "b", "c", "e", "alone"))
    assert found["a"] == Module("a", COMMIT, "https://forge.test/group/a")
    assert {path: each.why for path, each in found.items() if not each.url} == {
        "b": "its URL is not below any of [workspace] submodules",
        "c": "has more than one URL in .gitmodules",
        "e": "has no URL in .gitmodules",
        "alone": "has no URL in .gitmodules",
    }


async def test_without_a_prefix_none_is_fetched_and_all_are_named(source):
    found = await _named(source, _write(source, '[submodule "a"]\n\tpath = a\n\turl = ../a\n', "a", "alone"), ())
    assert [(each.path, each.url, "off" in each.why) for each in found.values()] == [
        ("a", "", True), ("alone", "", True),
    ]  # fmt: skip


async def test_a_file_that_leads_elsewhere_is_not_read(source):
    """A link, an include and a broken file; git's own reader would take the include of an ordinary file."""
    outside = source.path.parent / "outside"
    outside.write_text('[submodule "a"]\n\tpath = a\n\turl = ../a\n')
    commit = _write(source, f"[include]\n\tpath = {outside}\n", "a")
    line = "git config -f .gitmodules --includes submodule.a.url"
    assert sh(line, source.path).stdout.strip() == "../a"
    assert (await _named(source, commit))["a"].why == "has no URL in .gitmodules"
    assert (await _named(source, _write(source, "[submodule\n", "a")))["a"].why == "has no URL in .gitmodules"
    (source.path / ".gitmodules").unlink()
    (source.path / ".gitmodules").symlink_to(outside)
    source.git("add -A .gitmodules")
    source.git("commit -q -m link")
    assert (await _named(source, source.git("rev-parse HEAD")))["a"].why == "has no URL in .gitmodules"


async def test_there_is_an_end_to_submodules(source):
    paths = [f"m{number:03}" for number in range(MOST + 2)]
    text = "".join(f'[submodule "{path}"]\n\tpath = {path}\n\turl = ../{path}\n' for path in paths)
    found = await _named(source, _write(source, text, *paths))
    assert sum(bool(each.url) for each in found.values()) == MOST
    assert found[paths[-1]].why == f"beyond {MOST} submodules"
