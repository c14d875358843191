"""Attacks on the worker's git from a tree that an agent wrote.

Each is first seen to work on plain git in a plain clone, then does nothing to the worker's.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from runners.workspace.patch import PatchRefused, Rule
from runners.workspace.worktree import Worktree
from tests.attacks.parts import COMMIT, GIT, Plant, config, everything, hook, put, setting
from tests.runners.workspace.kit import OWNER, names, sh


def include(tree: Path, cmd: str) -> None:
    put(tree / "more.cfg", f'[core]\n\tfsmonitor = "{cmd};false"\n')
    config(tree, "[include]\n\tpath = ../more.cfg\n")


def worktree_config(tree: Path, cmd: str) -> None:
    config(tree, "[extensions]\n\tworktreeConfig = true\n")
    put(tree / ".git/config.worktree", f'[core]\n\tfsmonitor = "{cmd};false"\n')


def other_git_dir(tree: Path, cmd: str) -> None:
    shutil.move(tree / ".git", tree / "evil")
    put(tree / ".git", "gitdir: evil\n")
    put(tree / "evil/hooks/pre-commit", f"#!/bin/sh\n{cmd}\n", 0o755)


def linked_git_dir(tree: Path, cmd: str) -> None:
    shutil.move(tree / ".git", tree / "evil")
    (tree / ".git").symlink_to("evil")
    put(tree / "evil/hooks/pre-commit", f"#!/bin/sh\n{cmd}\n", 0o755)


def nested(tree: Path, cmd: str) -> None:
    sh("git init -q s && cd s && git commit -q --allow-empty -m x", tree)
    sh("git add s && git commit -qm s", tree)
    config(tree / "s", f'[core]\n\tfsmonitor = "{cmd};false"\n')


def planted_bare(tree: Path, cmd: str) -> None:
    sh("git init -q --bare sub", tree)
    config(tree / "sub", f'[core]\n\tbare = false\n\tworktree = ..\n\tfsmonitor = "{cmd};false"\n', "")


def in_tracked_folder(tree: Path, cmd: str) -> None:
    """A repository below a folder that holds tracked files, so that git goes in."""
    sh("git init -q docs && rm -rf docs/.git/hooks", tree)
    config(tree / "docs", f'[core]\n\tfsmonitor = "{cmd};false"\n')


RUN_COMMANDS: dict[str, tuple[Plant, str]] = {
    "pre-commit hook": (hook("pre-commit"), COMMIT),
    "commit-msg hook": (hook("commit-msg"), COMMIT),
    "post-commit hook": (hook("post-commit"), COMMIT),
    "post-index-change hook": (hook("post-index-change"), COMMIT),
    "post-checkout hook": (hook("post-checkout"), "git checkout -q -b other"),
    "reference-transaction hook": (hook("reference-transaction"), COMMIT),
    "pre-push hook": (hook("pre-push"), "git push -q ../source HEAD:refs/heads/naive"),
    "core.hooksPath": (
        lambda tree, cmd: (
            put(tree / "hk/pre-commit", f"#!/bin/sh\n{cmd}\n", 0o755),
            config(tree, "[core]\n\thooksPath = hk\n"),
        ),
        COMMIT,
    ),
    "core.fsmonitor": (setting('[core]\n\tfsmonitor = "%CMD%;false"\n'), "git status"),
    "filter clean": (setting('[filter "e"]\n\tclean = "%CMD%;cat"\n', "* filter=e\n"), COMMIT),
    "filter smudge": (
        setting('[filter "e"]\n\tsmudge = "%CMD%;cat"\n', "* filter=e\n"),
        "rm f; git add .gitattributes; git checkout f",
    ),
    "filter process": (setting('[filter "e"]\n\tprocess = "%CMD%"\n', "* filter=e\n"), COMMIT),
    "diff textconv": (setting('[diff "e"]\n\ttextconv = "%CMD%;cat"\n', "* diff=e\n"), "git diff"),
    "diff command": (setting('[diff "e"]\n\tcommand = "%CMD%;true"\n', "* diff=e\n"), "git diff"),
    "diff.external": (setting('[diff]\n\texternal = "%CMD%;true"\n'), "git diff"),
    "gpg.program": (setting("[commit]\n\tgpgSign = true\n[gpg]\n\tprogram = ./evil.sh\n", script=True), COMMIT),
    "core.editor": (setting('[core]\n\teditor = "%CMD%;true"\n'), "git add -A; git commit"),
    "include.path": (include, "git status"),
    "config.worktree": (worktree_config, "git status"),
    "alias": (setting('[alias]\n\tci = "!%CMD%"\n'), "git ci"),
    "core.sshCommand and insteadOf": (
        setting('[core]\n\tsshCommand = "%CMD%;false"\n[url "ssh://x/"]\n\tinsteadOf = ../source\n'),
        "git push ../source HEAD:x",
    ),
    "ext transport": (
        setting('[protocol "ext"]\n\tallow = always\n[remote "evil"]\n\turl = "ext::sh -c %CMD%"\n'),
        "git fetch evil",
    ),
    "remote.uploadpack": (
        setting('[remote "origin"]\n\turl = ../source\n\tuploadpack = "%CMD%;git-upload-pack"\n'),
        "git fetch origin",
    ),
    "credential.helper": (
        setting('[credential]\n\thelper = "!%CMD%;:"\n'),
        "printf 'protocol=https\\nhost=x\\n\\n' | GIT_TERMINAL_PROMPT=0 git credential fill",
    ),
    ".git file to another directory": (other_git_dir, COMMIT),
    ".git link to another directory": (linked_git_dir, COMMIT),
    "bare repository in a folder": (planted_bare, "cd sub && git status"),
    "configuration of a nested repository": (nested, "git status"),
    "repository in a tracked folder": (in_tracked_folder, "cd docs && git status"),
}


@pytest.mark.parametrize("name", RUN_COMMANDS)
async def test_nothing_in_the_tree_starts_a_program(name, worktree, source, place):
    plant, careless = RUN_COMMANDS[name]
    source.commit({"f": "x\n"})
    naive = place / "naive"
    sh(f"git clone -q source {naive}", place)
    plant(naive, f"touch{'% ' if name == 'ext transport' else ' '}{place}/naive-ran")
    sh(careless, naive)
    assert (place / "naive-ran").exists(), "the attack itself does not work"

    sh("git -c safe.directory='*' commit -q --allow-empty -m x", worktree.path)
    plant(worktree.path, f"touch{'% ' if name == 'ext transport' else ' '}{place}/ours-ran")
    await everything(worktree, str(source.path))
    assert not (place / "ours-ran").exists()


async def test_replaced_objects_are_not_believed(worktree):
    sh("echo evil > z; git replace $(git rev-parse HEAD:calc.py) $(git hash-object -w z); rm z", worktree.path,
       GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="safe.directory", GIT_CONFIG_VALUE_0="*")  # fmt: skip
    assert sh("git -c safe.directory='*' show HEAD:calc.py", worktree.path).stdout == "evil\n"
    assert b"return a - b" in await worktree.read(worktree.head, "calc.py")


@pytest.mark.parametrize("flag", ["--skip-worktree", "--assume-unchanged"])
async def test_flags_of_the_agents_index_hide_nothing(worktree, flag):
    git = "git -c safe.directory='*'"
    (worktree.path / "calc.py").write_text("EVIL\n")
    sh(f"{git} update-index {flag} calc.py", worktree.path)
    assert sh(f"{git} status --porcelain", worktree.path).stdout == ""
    assert [c.path for c in (await worktree.changes()).files] == ["calc.py"]


HIDDEN = {  # a file in .git/info, what it holds, what plain git is asked, and what it then keeps silent about
    "exclude": ("hidden\n", "status --porcelain", "hidden"),
    "attributes": ("* -text -diff\n", "diff", "+x"),
    "sparse-checkout": ("/docs/\n", "status --porcelain", "calc.py"),
}


@pytest.mark.parametrize("file", HIDDEN)
async def test_the_agents_info_folder_hides_nothing(worktree, file):
    content, asked, unsaid = HIDDEN[file]
    put(worktree.path / ".git/info" / file, content)
    config(worktree.path, f"[core]\n\tsparseCheckout = {file == 'sparse-checkout'}\n\texcludesFile = ../more\n")
    put(worktree.path / "hidden", "x\n")
    sh(f"{GIT} add -N hidden" if file == "attributes" else f"{GIT} read-tree -mu HEAD", worktree.path)
    assert unsaid not in sh(f"{GIT} {asked}", worktree.path).stdout
    found = {(c.path, c.added) for c in (await worktree.changes()).files}
    assert ("hidden", 1) in found
    assert ("calc.py" in {path for path, _ in found}) == (file == "sparse-checkout")  # it was taken away


async def test_restored_times_hide_no_change(worktree):
    path = worktree.path / "calc.py"
    os.utime(path, (1_000_000_000, 1_000_000_000))
    assert (await worktree.changes()).empty
    sh(f"{GIT} update-index --refresh", worktree.path)
    path.write_text(path.read_text().replace("-", "+"))
    os.utime(path, (1_000_000_000, 1_000_000_000))
    assert sh(f"{GIT} status --porcelain", worktree.path).stdout == ""
    assert [c.path for c in (await worktree.changes()).files] == ["calc.py"]


@pytest.mark.parametrize("lock", ["index.lock", "HEAD.lock", "refs/heads/task.lock", "config.lock"])
async def test_a_left_over_lock_stops_only_the_agent(worktree, lock):
    put(worktree.path / ".git" / lock, "")
    put(worktree.path / "new", "n")
    careless = f"{GIT} add -A && {GIT} commit -qm m && {GIT} config a.b c"
    assert sh(careless, worktree.path).returncode, "plain git does not mind"
    assert await worktree.commit("step") is not None


async def test_another_worktree_is_not_named_as_ours(worktree, place):
    put(place / "victim/secret", "TOPSECRET\n")
    config(worktree.path, f"[core]\n\tworktree = {place}/victim\n")
    assert "secret" in sh(f"{GIT} status --porcelain", worktree.path).stdout
    assert (await worktree.changes()).empty


async def test_a_link_to_a_secret_is_neither_read_nor_committed(worktree, place, jail):
    put(place / "secret", "TOPSECRET\n")
    (worktree.path / "leak").symlink_to(place / "secret")
    assert (worktree.path / "leak").read_text() == "TOPSECRET\n"  # what careless reading gives
    patch = await worktree.changes()
    assert "TOPSECRET" not in patch.text
    with pytest.raises(PatchRefused) as refused:
        await worktree.commit("step")
    assert [f.rule for f in refused.value.findings] == [Rule.LINK]


async def test_a_linked_folder_is_not_walked_into(worktree, place):
    put(place / "elsewhere/secret", "TOPSECRET\n")
    shutil.rmtree(worktree.path / "docs")
    (worktree.path / "docs").symlink_to(place / "elsewhere")
    assert (worktree.path / "docs/secret").read_text() == "TOPSECRET\n"
    patch = await worktree.changes()
    assert {(c.status, c.path, c.mode) for c in patch.files} == {
        ("D", "docs/read.me", "000000"),
        ("A", "docs", "120000"),
    }
    assert "TOPSECRET" not in patch.text


async def test_nothing_is_written_or_handed_over_through_links(worktree, source, place):
    put(place / "victim/read.me", "victim\n")
    put(place / "naive-victim/read.me", "victim\n")
    sh("git clone -q source naive; rm -r naive/docs; ln -s ../naive-victim naive/docs", place)
    shutil.copytree(source.path / "docs", place / "naive/docs", dirs_exist_ok=True)
    assert (place / "naive-victim/read.me").read_text() == "hello\n"
    shutil.rmtree(worktree.path / "docs")
    (worktree.path / "docs").symlink_to(place / "victim")
    shutil.rmtree(worktree.path / ".git")
    (worktree.path / ".git").symlink_to(place / "victim")
    owner = (place / "victim/read.me").stat().st_uid
    await worktree.reset(worktree.head)
    assert names(place / "victim") == ["read.me"]
    assert (place / "victim/read.me").read_text() == "victim\n"
    assert (place / "victim/read.me").stat().st_uid == owner
    assert (worktree.path / "docs/read.me").read_text() == "hello\n"


@pytest.mark.parametrize("kind", ["fifo", "socket"])
async def test_special_files_are_found_and_do_not_hang(worktree, kind):
    import socket

    if kind == "fifo":
        os.mkfifo(worktree.path / "special")
        (worktree.path / "calc.py").unlink()
        os.mkfifo(worktree.path / "calc.py")  # in place of a tracked file
    else:
        with socket.socket(socket.AF_UNIX) as endpoint:
            endpoint.bind(str(worktree.path / "special"))
    assert "special" not in sh(f"{GIT} status --porcelain", worktree.path).stdout  # plain git keeps silent about it
    if kind == "fifo":
        assert sh("timeout 0.3 cat special", worktree.path).returncode == 124  # and careless reading hangs
    async with asyncio.timeout(10):
        with pytest.raises(PatchRefused) as refused:
            await worktree.commit("step")
    assert {f.rule for f in refused.value.findings} == {Rule.SPECIAL}


@pytest.mark.skipif(OWNER is None, reason="only root makes device files")
async def test_device_files_are_found(worktree):
    os.mknod(worktree.path / "disk", 0o60666, os.makedev(1, 7))
    assert "disk" not in sh(f"{GIT} status --porcelain", worktree.path).stdout  # plain git keeps silent about it
    with pytest.raises(PatchRefused) as refused:
        await worktree.commit("step")
    assert [f.rule for f in refused.value.findings] == [Rule.SPECIAL]


async def test_endless_depth_is_found_and_can_be_removed(worktree):
    """Deeper than any path may be long: made by stepping down, as an agent would."""
    sh(
        "python3 -c \"import os\nfor _ in range(1200): os.mkdir('d' * 8); os.chdir('d' * 8)\nopen('x', 'w')\"",
        worktree.path,
    )
    with pytest.raises((OSError, RecursionError)):
        [path.stat() for path in worktree.path.rglob("*")]  # what careless walking comes to
    patch = await worktree.changes()
    assert {s.rule for s in patch.strays} == {Rule.NAME}
    await worktree.reset(worktree.head)
    assert (await worktree.changes()).empty


async def test_a_tree_that_was_filled_is_refused_before_it_is_read(mirror, work, source):
    from bot.model.errors import GatewrightError
    from runners.workspace.patch import Caps

    worktree = await Worktree.create(mirror, work / "t", source.git("rev-parse HEAD"), caps=Caps(entries=50))
    for i in range(60):
        put(worktree.path / f"many/f{i}", "")
    uncapped = await Worktree.create(mirror, work / "u", source.git("rev-parse HEAD"))
    shutil.copytree(worktree.path / "many", uncapped.path / "many")
    assert len((await uncapped.changes()).files) == 60
    with pytest.raises(GatewrightError, match="GW-PATCH-ENTRIES"):
        await worktree.changes()


async def test_the_agents_own_objects_are_not_ours(worktree, source):
    """What the agent put into its object store is not in the worker's, so it cannot be named in a commit of ours."""
    oid = sh("echo smuggled | git -c safe.directory='*' hash-object -w --stdin", worktree.path).stdout.strip()
    from runners.workspace.git import Git

    assert sh(f"{GIT} cat-file -e {oid}", worktree.path).returncode == 0
    assert (await Git(worktree.directory / "git").call("cat-file", "-e", oid)).code != 0


ON_THE_MIRROR = {
    "configuration": 'git config core.fsmonitor "touch /tmp/p"',
    "hook": "echo x > $MIRROR/hooks/pre-push",
    "reference": "git --git-dir=$MIRROR update-ref refs/heads/evil HEAD",
    "packed references": "git --git-dir=$MIRROR pack-refs --all",
    "alternates": "echo /etc > $MIRROR/objects/info/alternates",
    "object": "echo x > $MIRROR/objects/zz",
    "packs": "rm -rf $MIRROR/objects/*",
    "garbage": "git gc --prune=now && git repack -adf",
}


@pytest.mark.parametrize("way", ON_THE_MIRROR)
async def test_the_mirror_withstands_an_agent_that_lives_on_its_objects(way, worktree, mirror, make_jail, place):
    """The shared repository of a linked worktree falls to each of these (facts: isolation)."""

    def state(path: Path) -> dict[str, bytes]:
        return {str(p): p.read_bytes() for p in path.rglob("*") if p.is_file()}

    sh("git clone -q --bare source shared; mkdir -p shared/hooks; git -C shared worktree add -q ../linked", place)
    before = state(place / "shared")
    sh(ON_THE_MIRROR[way], place / "linked", MIRROR=str(place / "shared"))
    assert state(place / "shared") != before, "the attack itself does not work"

    before = state(mirror.path)
    jail = make_jail(worktree.path, objects=mirror.objects)
    await jail.run(["bash", "-c", ON_THE_MIRROR[way]], timeout=20, env={"MIRROR": str(mirror.path)})
    assert state(mirror.path) == before
    assert (await worktree.changes()).empty
