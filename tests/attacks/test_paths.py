"""Attacks by names, links, special files and sizes: what plain git carries on, and careless reading falls for."""

# ruff: noqa: ASYNC240 - a test may hold up its own loop
from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bot.model.errors import GatewrightError
from runners.loop.beneath import Beneath
from runners.loop.errors import ToolFault
from runners.workspace.files import erase, give
from runners.workspace.git import Git
from runners.workspace.patch import Caps, Rule
from runners.workspace.worktree import PatchRefused, Worktree
from tests.attacks.parts import GIT, bash, put
from tests.runners.workspace.kit import OWNER, names, sh

SECRET = "TOPSECRET\n"
PLAIN = "git -c core.protectNTFS=false -c core.protectHFS=false"
SWAP = """
import ctypes, sys
libc, (one, other) = ctypes.CDLL(None), (path.encode() for path in sys.argv[1:])
while True:
    libc.renameat2(-100, one, -100, other, 2)  # RENAME_EXCHANGE
"""


def blob(text: str) -> str:
    return hashlib.sha1(f"blob {len(text)}\0{text}".encode()).hexdigest()


async def findings(worktree: Worktree) -> set[Rule]:
    with pytest.raises(PatchRefused) as refused:
        await worktree.commit("step")
    return {finding.rule for finding in refused.value.findings}


def carried(place: Path, path: str) -> bool:
    """Tell whether plain git takes a name to another repository: as objects, where no checkout looks at it."""
    sh("git init -q carrier; git init -q --bare forge", place)
    git = place / "carrier"
    oid = sh("echo x | git hash-object -w --stdin", git).stdout.strip()
    kind, mode = "blob", "100644"
    for part in reversed(path.split("/")):
        entry = f"{mode} {kind} {oid}\t".encode() + os.fsencode(part) + b"\0"
        done = subprocess.run(["git", "mktree", "-z"], cwd=git, input=entry, capture_output=True, check=True)
        oid, kind, mode = done.stdout.decode().strip(), "tree", "040000"
    sh(f"git push -q ../forge $(git commit-tree -m m {oid}):refs/heads/x", git)
    listed = subprocess.run(
        ["git", "ls-tree", "-rz", "--name-only", "x"], cwd=place / "forge", capture_output=True, check=True
    )
    return listed.stdout == os.fsencode(path) + b"\0"


NAMES = {
    ".GIT/config": Rule.GIT,
    "sub/.Git/hooks/x": Rule.GIT,
    "git~1": Rule.GIT,
    "GIT~1/config": Rule.GIT,
    ".git.": Rule.GIT,
    ".git ": Rule.GIT,
    ".git::$INDEX_ALLOCATION": Rule.GIT,
    ".g\u200cit": Rule.GIT,
    ".\ufeffgit/hooks/x": Rule.GIT,
    "sub/.gi\u202at": Rule.GIT,
    "a\\b": Rule.NAME,
    "..\\..\\x": Rule.NAME,
    "a\nb": Rule.NAME,
    "a\tb": Rule.NAME,
    "a\rb": Rule.NAME,
    "\x1b[2Jx": Rule.NAME,
    "x\x7f": Rule.NAME,
    "\udcff\udcfe": Rule.NAME,
    "/".join(["n" * 200] * 6): Rule.NAME,
    ".gatewright/tasks/1/verdict": Rule.EVIDENCE,
    ".GateWright/Tasks/x": Rule.EVIDENCE,
    ".gatewright.toml": Rule.STEERING,
    ".GateWright.toml": Rule.STEERING,
    ".gitmodules": Rule.SUBMODULES,
    "sub/.GIT": Rule.GIT,
}


@pytest.mark.parametrize("name", NAMES, ids=ascii)
async def test_names_that_mean_something_else_elsewhere_are_refused(name, worktree, place):
    assert carried(place, name), "plain git does not carry it either"
    put(worktree.path / name, "x")
    assert await findings(worktree) == {NAMES[name]}


TWINS = {  # in one directory where names ignore case or Unicode form, one hides the other
    "case": ("calc.py", "CALC.py"),
    "case of a folder": ("docs/read.me", "Docs/read.me"),
    "Unicode form": ("caf\u00e9", "cafe\u0301"),
    "sharp s": ("stra\u00dfe", "STRASSE"),
}


@pytest.mark.parametrize("pair", TWINS)
async def test_names_that_hide_each_other_elsewhere_are_refused(pair, worktree, source, place):
    one, other = TWINS[pair]
    sh("git clone -q source naive", place)
    for tree in (place / "naive", worktree.path):
        put(tree / one, "harmless\n")
        put(tree / other, "evil\n")
    sh("git add -A; git commit -qm m", place / "naive")
    assert {one, other} <= set(sh("git ls-files -z", place / "naive").stdout.split("\0"))
    assert await findings(worktree) == {Rule.CLASH}


EACH = 'for each in *; do sh -c "git add $each"; done'
SPELLED = {  # a name, what a careless script does with it, and what that stages, where it should be both changes
    "--force": ("git add *", ["calc.py"]),
    "-n": ("git add *", []),
    ":(exclude)*": ("git add *", []),
    ":!calc.py": ("git add *", []),
    "*": ("git add -- '*'; git reset -q -- '*'", []),  # meant to take one of the two back
    "$(touch ran)": (EACH, None),
    "a b;touch ran": (EACH, None),
}


@pytest.mark.parametrize("name", SPELLED)
async def test_names_that_read_as_options_or_patterns_are_only_names(name, worktree, source, place):
    line, wrong = SPELLED[name]
    sh("git clone -q source naive", place)
    for tree in (place / "naive", worktree.path):
        put(tree / "calc.py", "changed\n")
        put(tree / name, "x\n")
    sh(line, place / "naive")
    if wrong is None:
        assert (place / "naive/ran").exists()
    else:
        assert sh("git diff --cached --name-only -z", place / "naive").stdout.split("\0")[:-1] == wrong
    made = await worktree.commit("step")
    assert made is not None
    listed = [os.fsdecode(path) for path, _, _ in await worktree.source_entries(made.commit)]
    assert listed == sorted([name, "calc.py", "docs/read.me"])
    assert await worktree.read(made.commit, name) == b"x\n"
    assert not (worktree.path / "ran").exists()


LINKS = {
    "absolute": ("leak", "{place}/secret"),
    "upwards": ("leak", "../secret"),
    "from below": ("docs/leak", "../../secret"),
    "through a folder": ("leak", "docs/../../secret"),
    "through another link": ("leak", "here/../../secret"),
    "into .git": ("leak", ".git/config"),
    "into .GIT": ("leak", ".GIT/config"),
}


@pytest.mark.parametrize("way", LINKS)
async def test_links_out_of_the_tree_are_refused(way, worktree, source, place):
    name, target = LINKS[way]
    sh("git clone -q source naive", place)
    for tree in (place / "naive", worktree.path):
        put(tree.parent / "secret", SECRET)
        (tree / name).symlink_to(target.format(place=place))
    if way != "into .GIT":  # needs a file system that ignores case
        if way == "through another link":
            (place / "naive/here").symlink_to("docs")
        assert (place / "naive" / name).read_text()  # leads there
    sh("git add -A; git commit -qm m", place / "naive")
    assert sh(f"git ls-files -s {name}", place / "naive").stdout.startswith("120000")
    assert await findings(worktree) == {Rule.LINK}


@contextmanager
def swapped(one: Path, other: Path):
    """Exchange two paths without end, as a process that outlived its jail would."""
    with subprocess.Popen([sys.executable, "-c", SWAP, one, other]) as process:
        try:
            yield
        finally:
            process.kill()


def race(tree: Path, victim: Path, files: int) -> None:
    for index in range(files):
        put(victim / f"f{index}", SECRET)
        put(tree / f"docs/f{index}", "x\n")
    (tree / "link").symlink_to(victim)


async def test_a_folder_swapped_for_a_link_while_the_worker_stages_leads_nowhere(worktree, source, place):
    """Jails are over before the worker stages; this is for a process that got away."""
    sh("git clone -q source naive", place)
    race(place / "naive", place / "victim", 300)
    held = Git(worktree.directory / "git")
    with swapped(place / "naive/docs", place / "naive/link"):
        deadline = time.monotonic() + 60
        while sh(f"git cat-file -e {blob(SECRET)}", place / "naive").returncode and time.monotonic() < deadline:
            sh("rm -f .git/index; git add -A", place / "naive")
    assert sh(f"git cat-file -e {blob(SECRET)}", place / "naive").returncode == 0, "plain git wins the race every time"

    race(worktree.path, place / "victim", 300)
    with swapped(worktree.path / "docs", worktree.path / "link"):
        for _ in range(12):
            with suppress(GatewrightError):
                assert SECRET not in (await worktree.changes()).text
            assert (await held.call("cat-file", "-e", blob(SECRET))).code != 0


async def test_a_folder_swapped_for_a_link_while_a_tool_reads_and_writes_leads_nowhere(tree, place):
    """Our own loop's file tools work while the agent's commands may run."""
    race(tree, place / "victim", 1)
    careless, read, wrote = 0, set(), 0
    with swapped(tree / "docs", tree / "link"), Beneath(tree) as files:
        deadline = time.monotonic() + 20
        while careless == 0 and time.monotonic() < deadline:
            with suppress(OSError):  # resolve, check, open: as careful as it looks
                if (path := (tree / "docs/f0").resolve()).is_relative_to(tree.resolve()):
                    careless += (tree / "docs/f0").read_text() == SECRET if path.exists() else 0
        for index in range(2_000):
            with suppress(ToolFault):
                read.add(files.read("docs/f0"))
            with suppress(ToolFault):
                wrote += files.write(f"docs/new{index % 50}", b"ours")
    assert careless, "the race itself is never won"
    assert read == {b"x\n"}
    assert wrote
    assert names(place / "victim") == ["f0"]


@pytest.mark.parametrize("kind", ["fifo", "link", "device", "folder link"])
async def test_tools_read_no_special_files_and_no_links(kind, tree, place):
    put(place / "outside/secret", SECRET)
    path = tree / ("docs/secret" if kind == "folder link" else "special")
    if kind == "fifo":
        os.mkfifo(path)
        assert sh("timeout 0.3 cat special", tree).returncode == 124  # hangs whoever opens it
    elif kind == "device":
        if OWNER is None:
            path.symlink_to("/dev/zero")
        else:
            os.mknod(path, 0o20666, os.makedev(1, 5))
        assert sh("head -c 3 special", tree).stdout == "\0\0\0"  # and has no end
    else:
        (tree / "docs" if kind == "folder link" else path).symlink_to(
            place / "outside" / ("" if kind == "folder link" else "secret")
        )
        assert path.read_text() == SECRET
    with Beneath(tree) as files:
        for do in (
            lambda: files.read(str(path.relative_to(tree))),
            lambda: files.write(str(path.relative_to(tree)), b""),
        ):
            with pytest.raises(ToolFault):
                do()
    assert (place / "outside/secret").read_text() == SECRET


@pytest.mark.parametrize("way", ["hand over", "remove"])
async def test_trees_are_handed_over_and_removed_without_following_links(way, place):
    for tree in ("naive", "ours"):
        put(place / f"{tree}-victim/f", "x")
        (place / tree).mkdir()
        (place / tree / "link").symlink_to(place / f"{tree}-victim")
    if way == "remove":
        sh("find -L naive -type f -delete", place)
        assert names(place / "naive-victim") == []
        await erase(place / "ours")
        assert names(place / "ours-victim") == ["f"]
        assert not (place / "ours").exists()
        return
    sh("chmod 0700 naive-victim ours-victim; chmod -R 0755 naive/link/", place)
    assert (place / "naive-victim").stat().st_mode & 0o777 == 0o755
    await give(place / "ours", OWNER)
    assert (place / "ours-victim").stat().st_uid == os.geteuid()
    assert (place / "ours-victim").stat().st_mode & 0o777 == 0o700


async def test_a_hard_link_to_a_file_of_the_host_cannot_be_made(worktree, mirror, make_jail, place):
    """A link that is no link to look at: it would be committed, or written through."""
    objects = mirror.path / "objects"
    one = next(path for path in objects.rglob("*") if path.is_file())
    assert sh(f"ln {one} {place}/twin", place).returncode == 0
    assert one.samefile(place / "twin")
    jail = make_jail(worktree.path, objects=objects)
    said = await bash(jail, f"ln {one} twin; ln /usr/bin/id twin; ln /etc/passwd twin; ls twin")
    assert said.count("Invalid cross-device link") == 3
    assert not os.path.lexists(worktree.path / "twin")


async def test_a_hard_link_inside_of_the_tree_hides_no_change(worktree):
    """A second name under .git, where nobody looks: writing there changes a file of the tree."""
    os.link(worktree.path / "calc.py", worktree.path / ".git/twin")
    put(worktree.path / ".git/twin", "EVIL\n")
    sh(f"{GIT} update-index --assume-unchanged calc.py", worktree.path)
    assert sh(f"{GIT} status --porcelain", worktree.path).stdout == ""
    assert [change.path for change in (await worktree.changes()).files] == ["calc.py"]


SIZES = {  # what is written, and which cap it exceeds
    "one large file": (lambda tree: put(tree / "big", "x" * 2_000), Caps(file_bytes=1_000)),
    "one sparse file": (lambda tree: sh("truncate -s 3T big", tree), Caps()),
    "many bytes": (lambda tree: [put(tree / f"f{i}", "x" * 900) for i in range(5)], Caps(total_bytes=3_000)),
    "many files": (lambda tree: [put(tree / f"f{i}", "x") for i in range(30)], Caps(files=20)),
}


@pytest.mark.parametrize("kind", SIZES)
async def test_what_is_too_large_is_refused(kind, mirror, work, source, place):
    write, caps = SIZES[kind]
    sh("git clone -q source naive", place)
    write(place / "naive")
    if kind == "one sparse file":  # plain git would read all of it
        assert sh("timeout 1 git add -A", place / "naive").returncode == 124
    else:
        sh("git add -A; git commit -qm m", place / "naive")
        assert sh("git status --porcelain", place / "naive").stdout == ""
    worktree = await Worktree.create(mirror, work / "t", source.git("rev-parse HEAD"), caps=caps)
    write(worktree.path)
    async with asyncio.timeout(20):
        assert await findings(worktree) == {Rule.SIZE}


async def test_a_file_that_grows_while_it_is_read_is_cut_off(mirror, work, source, place):
    """The size is looked at first; what comes after is bounded all the same."""
    from runners.workspace.copies import take

    put(place / "tree/f", "x" * 100)
    assert (place / "tree/f").stat().st_size <= 1_000
    put(place / "tree/f", "x" * 5_000)
    sh("cp tree/f naive", place)
    assert (place / "naive").stat().st_size == 5_000
    assert take(place / "tree", ["f"], place / "copies", 1_000) == ["f"]


async def test_an_embedded_repository_is_refused_with_all_it_could_hide(worktree, source, place):
    sh("git clone -q source naive", place)
    for tree in (place / "naive", worktree.path):
        sh(f"git init -q sub; cd sub; echo evil > hidden; {GIT} add -A; {GIT} commit -qm x", tree)
    sh("git add -A; git commit -qm m", place / "naive")
    assert sh("git ls-files -s sub", place / "naive").stdout.startswith("160000")  # a pointer, no content to read
    assert "evil" not in sh("git show", place / "naive").stdout
    assert await findings(worktree) == {Rule.EMBEDDED}


@pytest.mark.parametrize("url", ["file://{place}/other", "{place}/other", "../other"])
async def test_a_submodule_of_the_base_brings_no_other_repository(url, work, source, place):
    """The base commit itself may name one: its address could be another project on this machine."""
    from runners.workspace.mirror import Mirror
    from tests.runners.workspace.kit import REPO, Source

    other = Source(place / "other")
    other.commit({"secret": SECRET})
    address = url.format(place=place)
    source.git(f"-c protocol.file.allow=always submodule add -q {place}/other sub")
    put(source.path / ".gitmodules", f'[submodule "sub"]\n\tpath = sub\n\turl = {address}\n')
    source.git("commit -qam sub")
    sh("git -c protocol.file.allow=always clone -q --recurse-submodules source naive", place)
    assert (place / "naive/sub/secret").read_text() == SECRET
    mirror = await Mirror.open(work / "mirrors", REPO, str(source.path))
    await mirror.fetch()
    worktree = await Worktree.create(mirror, work / "t", source.git("rev-parse HEAD"), owner=OWNER)
    assert names(worktree.path / "sub") == []
    assert (await worktree.changes()).empty
    await worktree.checkout(worktree.head, place / "qa")
    assert names(place / "qa/sub") == []
    shutil.rmtree(place / "qa")
