"""Attacks by what git believes about a repository: history, references, objects, the index, attributes.

Each is first seen to fool plain git in the agent's tree, then asked of the worker's.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable

import pytest

from bot.model.errors import GatewrightError
from runners.workspace.git import Git
from runners.workspace.mirror import Mirror
from runners.workspace.patch import Rule
from runners.workspace.worktree import PatchRefused, Worktree
from tests.attacks.parts import GIT, config, put
from tests.runners.workspace.kit import OWNER, REPO, Source, names, sh

Write = Callable[[Worktree], object]


def line(worktree: Worktree, command: str) -> str:
    """What plain git says in the agent's tree."""
    return sh(f"{GIT} {command}", worktree.path).stdout.strip()


def write(name: str, text: str) -> Write:
    return lambda worktree: put(worktree.path / ".git" / name, text.replace("%HEAD%", worktree.head))


def orphan(worktree: Worktree) -> None:
    made = line(worktree, "commit-tree -m evil 'HEAD^{tree}'")
    put(worktree.path / ".git/packed-refs", f"{made} refs/heads/task\n")
    (worktree.path / ".git/refs/heads/task").unlink()


HISTORIES: dict[str, Write] = {
    "grafts": write("info/grafts", "%HEAD%\n"),
    "shallow": write("shallow", "%HEAD%\n"),
    "packed-refs": orphan,
    "detached HEAD": lambda worktree: put(
        worktree.path / ".git/HEAD", line(worktree, "commit-tree -m evil 'HEAD^{tree}'") + "\n"
    ),
    "HEAD of another branch": write("HEAD", "ref: refs/heads/none\n"),
    "HEAD out of the repository": write("HEAD", "ref: refs/../../../../etc/passwd\n"),
    "HEAD gone": lambda worktree: (worktree.path / ".git/HEAD").unlink(),
    "replaced commit": lambda worktree: line(
        worktree, "replace -f HEAD $(git -c safe.directory='*' commit-tree -m evil 'HEAD^{tree}')"
    ),
}


@pytest.mark.parametrize("way", HISTORIES)
async def test_no_history_is_made_up(way, work, source):
    source.commit({"f": "second\n"})
    mirror = await Mirror.open(work / "mirrors", REPO, str(source.path))
    await mirror.fetch()
    base = source.git("rev-parse HEAD")
    worktree = await Worktree.create(mirror, work / "t", base, owner=OWNER)
    assert len(line(worktree, "rev-list HEAD").split()) == 2
    HISTORIES[way](worktree)
    assert len(line(worktree, "rev-list HEAD").split()) != 2, "plain git still sees the whole history"

    put(worktree.path / "new", "x")
    made = await worktree.commit("step")
    assert made is not None
    assert made.parent == base
    await worktree.push(str(source.path), None, f"{made.commit}:refs/heads/gatewright/t")
    assert source.git("rev-list gatewright/t").split()[1:] == source.git("rev-list main").split()


@pytest.mark.parametrize("ref", ["refs/replace", "refs/hooks", "refs/heads/--upload-pack=x"])
async def test_references_of_the_forge_do_not_become_ours(ref, work, source, place):
    """A forge lets people push references of any name."""
    good = source.git("rev-parse HEAD:calc.py")
    evil = sh("echo evil | git hash-object -w --stdin", source.path).stdout.strip()
    name, oid = (f"refs/replace/{good}", evil) if ref == "refs/replace" else (ref, source.git("rev-parse HEAD"))
    put(source.path / ".git" / (name if "/" in name.removeprefix("refs/") else f"{name}/x"), f"{oid}\n")
    sh("git clone -q --mirror source naive", place)
    assert name in sh("git for-each-ref", place / "naive").stdout
    mirror = await Mirror.open(work / "mirrors", REPO, str(source.path))
    await mirror.fetch()
    kept = (await Git(mirror.path).run("for-each-ref", "--format=%(refname)")).decode().split()
    assert not [each for each in kept if not each.startswith(("refs/remotes/origin/", "refs/gatewright/"))]
    worktree = await Worktree.create(mirror, work / "t", source.git("rev-parse main"), owner=OWNER)
    assert b"return a - b" in (await worktree.read(worktree.head, "calc.py") or b"")


INDEXES = {
    "garbage": lambda path: path.write_bytes(os.urandom(4096)),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:90]),
    "huge": lambda path: sh(f"truncate -s 900G {path}", path.parent),
    "many entries": lambda path: path.write_bytes(path.read_bytes()[:8] + b"\xff\xff\xff\xff" + path.read_bytes()[12:]),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a FIFO": lambda path: (path.unlink(), os.mkfifo(path)),
    "a link to a secret": lambda path: (path.unlink(), path.symlink_to("/etc/passwd")),
}


@pytest.mark.parametrize("what", INDEXES)
async def test_a_broken_index_stops_only_the_agent(what, worktree):
    INDEXES[what](worktree.path / ".git/index")
    careless = sh(f"timeout 1 {GIT} status --porcelain", worktree.path)
    assert careless.returncode or careless.stdout, "plain git does not mind"
    put(worktree.path / "new", "x")
    async with asyncio.timeout(20):
        assert await worktree.commit("step") is not None


async def test_objects_of_another_repository_are_not_lent(worktree, place):
    """Alternates that lead to another project's mirror."""
    other = Source(place / "other")
    other.commit({"secret": "TOPSECRET\n"})
    oid = other.git("rev-parse HEAD:secret")
    with (worktree.path / ".git/objects/info/alternates").open("a") as file:
        file.write(f"{other.path}/.git/objects\n")
    assert line(worktree, f"cat-file -p {oid}") == "TOPSECRET"
    ours = Git(worktree.directory / "git")
    await worktree.changes()
    assert (await ours.call("cat-file", "-e", oid)).code != 0
    with pytest.raises(GatewrightError):
        await worktree.read(other.git("rev-parse HEAD"), "secret")


async def test_a_file_that_git_reads_is_not_shown(worktree, source, place):
    """Settings that name files: a template of messages, a list of mailboxes, an order of files."""
    put(place / "secret", "TOPSECRET\n")
    put(worktree.path / "new", "x")
    config(worktree.path, f"[commit]\n\ttemplate = {place}/secret\n[core]\n\teditor = true\n")
    line(worktree, "add -A")
    assert "TOPSECRET" in sh(f"{GIT} -c core.editor='cat <' commit -v 2>&1", worktree.path).stdout
    made = await worktree.commit("step")
    assert made is not None
    assert "TOPSECRET" not in (await Git(worktree.directory / "git").run("cat-file", "-p", made.commit)).decode()


async def test_attributes_keep_nothing_from_a_checkout(worktree, place):
    """`export-ignore` and `export-subst` work on `git archive`, which is how some make their checkouts."""
    put(worktree.path / ".gitattributes", "hidden export-ignore\nstamp export-subst\n")
    put(worktree.path / "hidden", "x\n")
    put(worktree.path / "stamp", "$Format:%an$\n")
    made = await worktree.commit("step", author="Mallory <m@example.org>")
    assert made is not None
    sh(f"git archive {made.commit} | tar x -C {place} --one-top-level=naive", worktree.directory / "git")
    assert not (place / "naive/hidden").exists()
    assert (place / "naive/stamp").read_text() == "Mallory\n"
    await worktree.checkout(made.commit, place / "qa")
    assert ((place / "qa/hidden").read_text(), (place / "qa/stamp").read_text()) == ("x\n", "$Format:%an$\n")
    shutil.rmtree(place / "qa")


CONVERSIONS = {  # attributes, what the agent's tree holds, and what is committed
    "ident": ("* ident\n", b"$Id: payload $\n", b"$Id$\n"),
    "eol": ("* text eol=crlf\n", b"a\r\nb\r\n", b"a\nb\n"),
    "working-tree-encoding": ("f working-tree-encoding=UTF-16LE\n", "evil\n".encode("utf-16-le"), b"evil\n"),
}


@pytest.mark.parametrize("attribute", CONVERSIONS)
async def test_what_is_reviewed_is_what_is_committed(attribute, worktree, source, place):
    """Conversions have the tree hold other bytes than the commit: readers, digests and QA see the commit's."""
    attributes, content, committed = CONVERSIONS[attribute]
    put(worktree.path / ".gitattributes", attributes)
    (worktree.path / "f").write_bytes(content)
    assert (worktree.path / "f").read_bytes() != committed  # what careless reading of the tree gives
    patch = await worktree.changes()
    assert "".join(f"+{each}\n" for each in committed.decode().splitlines()) in patch.text
    made = await worktree.commit("step")
    assert made is not None
    assert await worktree.read(made.commit, "f") == committed
    await worktree.push(str(source.path), None, f"{made.commit}:refs/heads/gatewright/t")
    sh("git clone -q -b gatewright/t source ci", place)
    await worktree.checkout(made.commit, place / "qa")
    assert (place / "qa/f").read_bytes() == (place / "ci/f").read_bytes()
    shutil.rmtree(place / "qa")


async def test_an_attribute_that_hides_a_change_hides_it_from_nobody(worktree):
    put(worktree.path / ".gitattributes", "* -diff binary linguist-generated\n")
    put(worktree.path / "calc.py", "EVIL\n")
    assert "EVIL" not in line(worktree, "diff")
    assert "+EVIL" in (await worktree.changes()).text


@pytest.mark.parametrize("encoding", ["UTF-32", "NO-SUCH", "UTF-16LE"])
async def test_an_encoding_that_cannot_be_had_is_named_and_stops_only_this_step(encoding, worktree):
    """Git gives up at the first such file and stages nothing, in words about itself."""
    put(worktree.path / ".gitattributes", f"f* working-tree-encoding={encoding}\n")
    for name in ("f", "f2", *(f"f-{n}" for n in range(20))):
        (worktree.path / name).write_bytes(b"\xff")
    put(worktree.path / "plain.txt", "x\n")
    assert sh(f"{GIT} add -A", worktree.path).returncode
    with pytest.raises(PatchRefused) as refused:
        await worktree.commit("step")
    assert {finding.rule for finding in refused.value.findings} == {Rule.ENCODING}
    assert len(refused.value.findings) == 8
    assert "`working-tree-encoding` in .gitattributes" in str(refused.value)
    (worktree.path / ".gitattributes").unlink()
    made = await worktree.commit("step")
    assert made is not None
    assert await worktree.read(made.commit, "plain.txt") == b"x\n"


async def test_one_file_in_a_wrong_encoding_is_the_one_that_is_named(worktree):
    put(worktree.path / ".gitattributes", "*.ps1 working-tree-encoding=UTF-16LE\n")
    for name in ("a", "b", "c", "d"):
        (worktree.path / f"{name}.ps1").write_bytes("x\n".encode("utf-16-le"))
    (worktree.path / "c.ps1").write_bytes(b"odd")
    with pytest.raises(PatchRefused) as refused:
        await worktree.commit("step")
    assert [finding.path for finding in refused.value.findings] == ["c.ps1"]
    (worktree.path / "c.ps1").unlink()
    made = await worktree.commit("step")
    assert made is not None
    assert await worktree.read(made.commit, "a.ps1") == b"x\n"


async def test_a_link_for_attributes_or_ignores_is_not_read(worktree, place):
    """A list kept outside of the tree could hide files, and be changed after the review."""
    put(place / "list", "hidden\n")
    (worktree.path / ".gitignore").symlink_to(place / "list")
    put(worktree.path / ".git/info/exclude", "hidden\n")
    put(worktree.path / "hidden", "x\n")
    assert "hidden" not in line(worktree, "status --porcelain")
    (worktree.path / ".git/info/exclude").unlink()
    assert "hidden" in [change.path for change in (await worktree.changes()).files]
    with pytest.raises(PatchRefused) as refused:
        await worktree.commit("step")
    assert {finding.rule for finding in refused.value.findings} == {Rule.LINK}


async def test_the_evidence_of_tasks_is_neither_seen_nor_changed(work, source):
    source.commit({".gatewright/tasks/1/verdict": "pass\n"})
    mirror = await Mirror.open(work / "mirrors", REPO, str(source.path))
    await mirror.fetch()
    assert (source.path / ".gatewright/tasks/1/verdict").exists()  # what a plain checkout shows
    worktree = await Worktree.create(mirror, work / "t", source.git("rev-parse HEAD"), owner=OWNER)
    assert ".gatewright" not in names(worktree.path)
    put(worktree.path / "new", "x")
    made = await worktree.commit("step")
    assert made is not None
    assert await worktree.read(made.commit, ".gatewright/tasks/1/verdict") == b"pass\n"
