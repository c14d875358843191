"""Attacks on the worker's git by whatever else in a repository or in an environment starts a program.

Each is first seen to work on plain git in a plain clone; test_git.py has the best known ones and hidden changes.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.attacks.parts import COMMIT, GIT, Plant, config, everything, hook, put, setting
from tests.runners.workspace.kit import serve, sh


def conditional(condition: str) -> Plant:
    def plant(tree: Path, cmd: str) -> None:
        put(tree / "more.cfg", f'[core]\n\tfsmonitor = "{cmd};false"\n')
        config(tree, f'[includeIf "{condition}"]\n\tpath = ../more.cfg\n[remote "r"]\n\turl = https://forge/x\n')

    return plant


def merge_driver(tree: Path, cmd: str) -> None:
    config(tree, f'[merge "e"]\n\tdriver = "{cmd};true"\n')
    put(tree / ".git/info/attributes", "* merge=e\n")
    put(tree / "f", "ours\n")


def other_common_dir(tree: Path, cmd: str) -> None:
    """Half of the git directory elsewhere, as a linked worktree has it."""
    shutil.copytree(tree / ".git", tree / "shared")
    config(tree, f'[core]\n\tfsmonitor = "{cmd};false"\n', "shared")
    put(tree / ".git/commondir", "../shared\n")


def submodule_update(tree: Path, cmd: str) -> None:
    sh("git init -q s; cd s; git commit -q --allow-empty -m x; cd ..; git add s; git -C s commit -q --allow-empty -m y",
       tree, GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="safe.directory", GIT_CONFIG_VALUE_0="*")  # fmt: skip
    put(tree / ".gitmodules", '[submodule "s"]\n\tpath = s\n\turl = ./s\n')
    config(tree, f'[submodule "s"]\n\turl = ./s\n\tactive = true\n\tupdate = "!{cmd}; :"\n')


def alternate_refs(tree: Path, cmd: str) -> None:
    shutil.copytree(tree / ".git", tree / "lent")
    put(tree / ".git/objects/info/alternates", "../../lent/objects\n")
    config(tree, f'[core]\n\talternateRefsCommand = "{cmd};:"\n')


PROGRAMS: dict[str, tuple[Plant, str]] = {
    "prepare-commit-msg hook": (hook("prepare-commit-msg"), COMMIT),
    "post-rewrite hook": (hook("post-rewrite"), "git commit -q --amend -am m"),
    "pre-rebase hook": (hook("pre-rebase"), "git checkout -q -f; git rebase -q --root"),
    "post-merge hook": (
        hook("post-merge"),
        "git commit -qam m; git branch b; git reset -q --hard HEAD~1; git merge -q b",
    ),
    "includeIf gitdir": (conditional("gitdir:**"), "git status"),
    "includeIf onbranch": (conditional("onbranch:**"), "git status"),
    "includeIf hasconfig": (conditional("hasconfig:remote.*.url:https://forge/**"), "git status"),
    "commondir": (other_common_dir, "git status"),
    "merge driver": (
        merge_driver,
        "git commit -qam a; git checkout -q -b o HEAD~1; echo z > f; git commit -qam b; git merge main",
    ),
    "core.pager": (setting('[core]\n\tpager = "%CMD%;cat"\n'), "TERM=xterm script -qec 'git log' /dev/null"),
    "core.askPass": (
        setting("[core]\n\taskPass = ./evil.sh\n", script=True),
        "printf 'protocol=https\\nhost=x\\n\\n' | git credential fill",
    ),
    "core.gitProxy": (setting("[core]\n\tgitProxy = ./evil.sh\n", script=True), "git ls-remote git://localhost/x"),
    "gpg.ssh.program": (
        setting(
            '[commit]\n\tgpgSign = true\n[user]\n\tsigningKey = key::x\n[gpg]\n\tformat = ssh\n[gpg "ssh"]\n'
            "\tprogram = ./evil.sh\n",
            script=True,
        ),
        COMMIT,
    ),
    "trailer.command": (
        setting('[trailer "x"]\n\tkey = X\n\tcommand = "%CMD%"\n'),
        "echo m | git interpret-trailers --trailer x=1",
    ),
    "interactive.diffFilter": (
        setting('[color]\n\tui = always\n[interactive]\n\tdiffFilter = "%CMD%;cat"\n'),
        "printf 'q\\n' | TERM=xterm script -qec 'git add -p' /dev/null",
    ),
    "sequence.editor": (
        setting('[sequence]\n\teditor = "%CMD%;true"\n'),
        "git checkout -q -f; git rebase -i --root",
    ),
    "tar command": (setting('[tar "e"]\n\tcommand = "%CMD%;cat"\n'), "git archive --format=e HEAD"),
    "difftool": (
        setting('[diff]\n\ttool = e\n[difftool "e"]\n\tcmd = "%CMD%"\n'),
        "git difftool -y",
    ),
    "submodule update": (submodule_update, "git -c protocol.file.allow=always submodule update"),
    "core.alternateRefsCommand": (
        alternate_refs,
        "git -C ../source commit -q --allow-empty -m n; git fetch -q ../source",
    ),
    "promisor remote": (
        setting(
            "[core]\n\trepositoryFormatVersion = 1\n[extensions]\n\tpartialClone = p\n"
            '[remote "p"]\n\turl = ../source\n\tpromisor = true\n\tuploadpack = "%CMD%;git-upload-pack"\n'
        ),
        "git cat-file -p 1111111111111111111111111111111111111111",
    ),
    "remote.receivepack": (
        setting('[remote "origin"]\n\treceivepack = "%CMD%;git-receive-pack"\n'),
        "git push -q origin HEAD:refs/heads/x",
    ),
    "pushInsteadOf to ext": (
        setting('[protocol "ext"]\n\tallow = always\n[url "ext::sh -c "]\n\tpushInsteadOf = run:\n'),
        "git push 'run:%CMD%' HEAD:x",
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
async def test_nothing_in_the_repository_starts_a_program(name, worktree, source, place):
    plant, careless = PROGRAMS[name]
    source.commit({"f": "x\n"})
    naive = place / "naive"
    sh(f"git clone -q source {naive}", place)
    plant(naive, f"touch {place}/naive-ran")
    sh(careless.replace("%CMD%", f"touch% {place}/naive-ran"), naive)
    assert (place / "naive-ran").exists(), "the attack itself does not work"

    sh(f"{GIT} commit -q --allow-empty -m x", worktree.path)
    plant(worktree.path, f"touch {place}/ours-ran")
    await everything(worktree, str(source.path))
    assert not (place / "ours-ran").exists()


STEERED = {  # what a variable of the worker's environment makes plain git start
    "GIT_EXTERNAL_DIFF": ("%SCRIPT%", "git diff"),
    "GIT_SSH_COMMAND": ("%SCRIPT%", "git ls-remote ssh://x/y"),
    "GIT_PROXY_COMMAND": ("%SCRIPT%", "git ls-remote git://localhost/x"),
    "GIT_ASKPASS": ("%SCRIPT%", "printf 'protocol=https\\nhost=x\\n\\n' | git credential fill"),
    "SSH_ASKPASS": ("%SCRIPT%", "printf 'protocol=https\\nhost=x\\n\\n' | git credential fill"),
    "GIT_EDITOR": ("%SCRIPT%", "git add -A; git commit"),
    "GIT_CONFIG_PARAMETERS": ("'core.fsmonitor=%SCRIPT%'", "git status"),
    "GIT_CONFIG_GLOBAL": ("%CONFIG%", "git status"),
    "GIT_CONFIG_SYSTEM": ("%CONFIG%", "git status"),
    "GIT_TEMPLATE_DIR": ("%TEMPLATE%", "git init -q sub; cd sub; git commit -q --allow-empty -m x"),
    "GIT_DIR": ("%GITDIR%", "git status"),
    "GIT_COMMON_DIR": ("%GITDIR%", "git status"),
    "HOME": ("%HOME%", "unset GIT_CONFIG_GLOBAL; git status"),
    "XDG_CONFIG_HOME": ("%HOME%", "unset GIT_CONFIG_GLOBAL; git status"),
}


@pytest.mark.parametrize("name", STEERED)
async def test_the_workers_environment_steers_no_git(name, worktree, source, place, monkeypatch):
    value, careless = STEERED[name]
    source.commit({"f": "x\n"})
    put(place / "evil.sh", f"#!/bin/sh\ntouch {place}/ran\n", 0o755)
    text = f"[core]\n\tfsmonitor = {place}/evil.sh\n"
    for path in ("evil.cfg", "home/.gitconfig", "home/git/config"):
        put(place / path, text)
    put(place / "template/hooks/post-commit", f"#!/bin/sh\ntouch {place}/ran\n", 0o755)
    sh(f"git clone -q source naive; cp -r naive/.git {place}/evil.git", place)
    config(place, text, "evil.git")
    put(place / "naive/f", "changed\n")
    for mark, path in {
        "SCRIPT": "evil.sh", "CONFIG": "evil.cfg", "HOME": "home", "TEMPLATE": "template", "GITDIR": "evil.git",
    }.items():  # fmt: skip
        value = value.replace(f"%{mark}%", str(place / path))
    sh(careless, place / "naive", **{name: value})
    assert (place / "ran").exists(), "the variable itself does nothing"

    (place / "ran").unlink()
    monkeypatch.setenv(name, value)
    put(worktree.path / "f", "changed\n")
    await everything(worktree, str(source.path))
    assert not (place / "ran").exists()


ADDRESSES = {  # of a repository, as somebody who may name one would give it
    "ext": "ext::sh -c touch% %RAN%",
    "option": "--upload-pack=touch %RAN%;git-upload-pack",
    "ssh": "ssh://host/path",
    "scp form": "host:path",
    "file": "file://%SOURCE%",
    "git": "git://localhost/x",
}


@pytest.mark.parametrize("form", ADDRESSES)
async def test_an_address_starts_no_program_and_opens_no_other_protocol(form, worktree, source, place):
    from bot.model.errors import GatewrightError
    from runners.workspace.mirror import Mirror
    from tests.runners.workspace.kit import REPO

    def address(mark: str) -> str:
        return ADDRESSES[form].replace("%RAN%", f"{place}/{mark}").replace("%SOURCE%", str(source.path))

    put(place / "ssh.sh", f"#!/bin/sh\ntouch {place}/naive\n", 0o755)
    settings = f"-c protocol.allow=always -c core.sshCommand={place}/ssh.sh -c core.gitProxy={place}/ssh.sh"
    if form == "option":
        sh(f"git ls-remote '{address('naive')}' {source.path}", place)
    elif form == "file":
        assert "refs/heads/main" in sh(f"git ls-remote {address('')}", place).stdout
        (place / "naive").touch()
    else:
        sh(f"git {settings} ls-remote '{address('naive')}'", place)
    assert (place / "naive").exists(), "the address itself does not work"

    url = address("ours")
    with pytest.raises(GatewrightError, match="GW-GIT-URL"):
        await (await Mirror.open(place / "mirrors", REPO, url)).fetch()
    with pytest.raises(GatewrightError, match="GW-GIT-URL"):
        await worktree.push(url, None, f"{worktree.head}:refs/heads/x")
    assert not (place / "ours").exists()


@pytest.mark.parametrize("refspec", ["+{head}:refs/heads/main", "{head}:main --force", "--mirror", ":refs/heads/main"])
async def test_a_refspec_forces_and_removes_nothing(refspec, worktree, source, place):
    from bot.model.errors import GatewrightError

    base = source.git("rev-parse HEAD")
    sh("git clone -q source naive; git clone -q --bare source victim; git -C victim symbolic-ref HEAD refs/x", place)
    made = sh(
        "git checkout -q --orphan o; git commit -qm evil; git branch -qD main; git rev-parse HEAD", place / "naive"
    )
    spec = refspec.format(head=made.stdout.strip())
    sh(f"git push -q ../victim {spec}", place / "naive")
    assert sh("git rev-parse refs/heads/main", place / "victim").stdout.strip() != base, (
        "the refspec itself is harmless"
    )

    with pytest.raises(GatewrightError, match="GW-GIT-REFSPEC"):
        await worktree.push(str(source.path), None, spec)
    assert source.git("rev-parse refs/heads/main") == base


async def test_a_plain_push_overwrites_nobodys_work(worktree, source, place):
    """A commit that does not stand on the branch's tip."""
    from bot.model.errors import GatewrightError

    theirs = source.commit({"f": "theirs\n"})
    source.git("checkout -q --detach")
    put(worktree.path / "g", "ours\n")
    made = await worktree.commit("step")
    assert made is not None
    sh("git clone -q --bare source victim", place)
    sh(f"git push -q -f {place}/victim {made.commit}:refs/heads/main", worktree.directory / "git")
    assert sh("git rev-parse refs/heads/main", place / "victim").stdout.strip() == made.commit
    with pytest.raises(GatewrightError, match="GW-GIT-REJECTED"):
        await worktree.push(str(source.path), None, f"{made.commit}:refs/heads/main")
    assert source.git("rev-parse refs/heads/main") == theirs


@pytest.mark.parametrize("what", ["askPass", "helper"])
async def test_no_program_of_the_tree_is_asked_for_a_credential(what, worktree, source, place):
    """A forge that answers 401 is where git begins to ask."""
    from bot.model.errors import GatewrightError

    def plant(tree: Path, mark: str) -> None:
        put(tree / "evil.sh", f"#!/bin/sh\ntouch {place}/{mark}\n", 0o755)
        config(tree, f"[{'core' if what == 'askPass' else 'credential'}]\n\t{what} = {tree}/evil.sh\n")

    sh("git clone -q source naive", place)
    with serve(source.path.parent) as server:
        plant(place / "naive", "naive-ran")
        sh(f"git push -q {server.url} HEAD:refs/heads/x", place / "naive", GIT_TERMINAL_PROMPT="0")
        assert (place / "naive-ran").exists()
        plant(worktree.path, "ours-ran")
        with pytest.raises(GatewrightError, match="GW-GIT-ACCESS"):
            await worktree.push(server.url, None, f"{worktree.head}:refs/heads/x")
    assert not (place / "ours-ran").exists()
