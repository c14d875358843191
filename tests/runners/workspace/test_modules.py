"""Submodules over HTTP: the exact commit, its files and no `.git`; the credential of the task goes nowhere else."""

from __future__ import annotations

import asyncio
import os
import shutil

import pytest

from bot import settings
from bot.model.errors import Unavailable
from runners.workspace.content import Content
from runners.workspace.git import GitError
from runners.workspace.mirror import COMMITS, Mirror
from runners.workspace.patch import PatchRefused, Rule, review
from runners.workspace.worktree import Worktree
from tests.runners.workspace.forge import ACCESS, forge
from tests.runners.workspace.kit import OWNER, REPO, Source, names, sh


@pytest.fixture
def served(place, source):
    """The task's private repository, and beside it public ones with a submodule in a submodule in a submodule."""
    with forge(place) as server:
        server.public |= {"lib", "deep", "deeper"}
        commits, inner = {}, ""
        for name in ("deeper", "deep", "lib"):
            made = Source(place / name)
            made.commit({"code.py": f"name = {name!r}\n", ".gitignore": "*.pyc\n", "sub/run": "x\n"})
            if inner:
                add(made, f"{server.at}/{inner}/.git", commits[inner], "in")
            commits[name] = made.git("rev-parse HEAD")
            inner = name
        server.commits = commits
        yield server


def add(source: Source, url: str, commit: str, *paths: str) -> str:
    rows = "".join(f'[submodule "{path}"]\n\tpath = {path}\n\turl = {url}\n' for path in paths)
    (source.path / ".gitmodules").write_text(rows)
    source.git("add .gitmodules")
    for path in paths:
        source.git(f"update-index --add --cacheinfo 160000,{commit},{path}")
    source.git("commit -q -m submodules")
    return source.git("rev-parse HEAD")


async def stand(served, work, base, *, allowed=None, name="t") -> Worktree:
    mirror = await Mirror.open(work / "mirrors", REPO, served.url)
    await mirror.fetch(ACCESS)
    worktree = await Worktree.prepare(mirror, work / name, base, owner=OWNER)
    table = settings.Workspace(submodules=(f"{served.at}/",) if allowed is None else allowed)
    await worktree.bring(Content(table, work, REPO, served.url), ACCESS)
    await worktree.reset(base)
    return worktree


async def test_files_are_laid_out_and_the_link_is_what_stays_in_commits(served, work, source):
    base = add(source, "../../lib/.git", served.commits["lib"], "vendor/lib")
    source.git("update-index --add --cacheinfo 160000," + "2" * 40 + ",alone")
    source.git("commit -q -m alone")
    base = source.git("rev-parse HEAD")
    worktree = await stand(served, work, base)
    lib = worktree.path / "vendor/lib"
    assert (lib / "code.py").read_text() == "name = 'lib'\n"
    assert (lib / "in/code.py").read_text() == "name = 'deep'\n"
    assert names(lib / "in/in") == []  # the third one down
    assert not list(lib.rglob(".git"))
    assert OWNER is None or (lib / "code.py").stat().st_uid == OWNER
    assert {(part.path, part.why) for part in worktree.parts} == {
        ("vendor/lib", ""), ("vendor/lib/in", ""), ("vendor/lib/in/in", "lies deeper than 2 submodules"),
        ("alone", "has no URL in .gitmodules"),
    }  # fmt: skip
    assert (await worktree.changes()).empty
    (lib / "sub/built.pyc").write_text("ignored there")
    (worktree.path / "calc.py").write_text("x = 1\n")
    made = await worktree.commit("step")
    listing = await worktree._bare.run("ls-tree", "-r", made.commit)
    assert f"160000 commit {served.commits['lib']}\tvendor/lib\n".encode() in listing
    assert b"code.py" not in listing
    assert (b"vendor/lib", "160000") in [row[:2] for row in await worktree.source_entries(made.commit)]
    quiet = sh("git -c safe.directory='*' status --porcelain", worktree.path)
    assert (quiet.stdout, quiet.stderr) == ("", "")
    qa = await worktree.checkout(made.commit, work / "qa")
    assert (qa / "vendor/lib/in/code.py").read_text() == "name = 'deep'\n"
    assert not (qa / "vendor/lib/sub/built.pyc").exists()


async def test_the_tasks_credential_goes_to_its_own_repository_alone(served, work, source, place):
    own = source.git("rev-parse HEAD")
    (source.path / ".gitmodules").write_text(
        f'[submodule "lib"]\n\tpath = lib\n\turl = {served.at}/lib/.git\n[submodule "own"]\n\tpath = own\n\turl = ./\n'
    )
    source.git("add .gitmodules")
    source.git(f"update-index --add --cacheinfo 160000,{served.commits['lib']},lib")
    source.git(f"update-index --add --cacheinfo 160000,{own},own")
    source.git("commit -q -m own")
    worktree = await stand(served, work, source.git("rev-parse HEAD"))
    assert (worktree.path / "own/calc.py").exists()
    public = [given for line, given in served.seen if "/source/" not in line]
    assert len(public) > 2
    assert set(public) == {""}
    assert "s3cr3t" not in sh("grep -rI s3cr3t .", work).stdout


async def test_a_private_repository_of_others_is_an_error_and_gets_no_credential(served, work, source):
    served.public.discard("lib")
    base = add(source, "../../lib/.git", served.commits["lib"], "lib")
    with pytest.raises(GitError, match="submodule lib cannot be fetched") as caught:
        await stand(served, work, base)
    assert caught.value.code == "GW-GIT-SUBMODULE"
    assert {given for line, given in served.seen if "/lib/" in line} == {""}


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{other}/lib/.git", "http://localhost:{port}/lib/.git", "../../../127.0.0.1:{other}/lib/.git",
        "ext::git-upload-pack {place}/lib", "file://{place}/lib", "{place}/lib", "ssh://127.0.0.1/{place}/lib",
        "http://127.0.0.1:{port}/x/../lib/.git",
    ],
)  # fmt: skip
async def test_whatever_is_not_below_a_prefix_is_not_even_asked(url, served, work, source, place):
    with forge(place) as other:
        other.public.add("lib")
        address = url.format(other=other.server_port, port=served.server_port, place=place)
        base = add(source, address, served.commits["lib"], "lib")
        worktree = await stand(served, work, base)
        assert names(worktree.path / "lib") == []
        assert [part.why for part in worktree.parts] == ["its URL is not below any of [workspace] submodules"]
        assert (await worktree.changes()).empty
        assert other.seen == []
        assert not [line for line, _ in served.seen if "/lib/" in line]


async def test_a_prefix_is_not_followed_out_of_itself_by_a_redirect(served, work, source, place):
    with forge(place) as other:
        other.public.add("lib")
        served.public.clear()
        base = add(source, f"{served.at}/lib/.git", served.commits["lib"], "lib")
        worktree = await stand(served, work, base, allowed=())
        assert [part.why for part in worktree.parts] == ["submodules are off: [workspace] submodules"]
        served.redirect = other.at
        with pytest.raises(GitError, match="GW-GIT-SUBMODULE"):
            await worktree.bring(Content(settings.Workspace((f"{served.at}/lib",)), work, REPO, served.url), None)
        assert other.seen == []


CHANGES = {
    "changed": "echo x >> lib/code.py",
    "changed and its times put back": "touch -r lib/code.py t; echo 'name = 999' > lib/code.py; "
    "touch -r t lib/code.py; rm t",
    "new": "echo x > lib/new",
    "removed": "rm lib/code.py",
    "emptied": "rm -r lib/* lib/.gitignore",
    "program": "chmod +x lib/code.py",
    "inner": "echo x > lib/in/new",
    "inner removed": "rm -r lib/in",
    "repository": "git init -q lib",
    "link inside": "rm lib/code.py; ln -s /etc/passwd lib/code.py",
    "link in its place": "rm -r lib; ln -s /etc lib",
    "file in its place": "rm -r lib; echo x > lib",
}


@pytest.mark.parametrize("how", CHANGES)
async def test_changes_in_a_submodule_are_refused_and_the_link_stays(how, served, work, source):
    base = add(source, "../../lib/.git", served.commits["lib"], "lib")
    worktree = await stand(served, work, base)
    assert sh(CHANGES[how], worktree.path).returncode == 0
    (worktree.path / "calc.py").write_text("x = 1\n")
    found = review(await worktree.changes())
    assert {each.rule for each in found} <= {Rule.GITLINK, Rule.EMBEDDED, Rule.LINK}
    assert [each.path for each in found if each.path.split("/")[0] == "lib"], found
    with pytest.raises(PatchRefused):
        await worktree.commit("step")
    sh("rm -rf lib", worktree.path)
    (worktree.path / "lib").mkdir()
    (worktree.path / "lib/mine.py").write_text("would be plain files now")
    if OWNER is not None:
        sh(f"chown -R {OWNER}:{OWNER} lib", worktree.path)
    patch = await worktree.changes()
    assert [change.path for change in patch.files] == ["calc.py"]  # neither the files nor another link are staged
    assert any(stray.path == "lib/mine.py" for stray in patch.strays)


async def test_a_folder_above_that_becomes_a_link_leads_nowhere(served, work, source, place):
    base = add(source, "../../lib/.git", served.commits["lib"], "vendor/lib")
    worktree = await stand(served, work, base)
    (place / "outside/lib").mkdir(parents=True)
    shutil.rmtree(worktree.path / "vendor")
    (worktree.path / "vendor").symlink_to(place / "outside")
    found = review(await worktree.changes())
    assert ("vendor/lib", Rule.GITLINK) in [(each.path, each.rule) for each in found]
    assert names(place / "outside/lib") == []


async def test_a_submodule_below_a_link_of_the_base_is_written_nowhere(served, work, source, place):
    """A tree may name one entry twice, as a link and as a folder; the index that git makes of it has one of them."""
    (place / "outside").mkdir()
    inner = sh(
        f"printf '160000 commit {served.commits['lib']}\\tlib\\n' | git mktree --missing", source.path
    ).stdout.strip()  # fmt: skip
    link = sh(f"printf {place}/outside | git hash-object -w --stdin", source.path).stdout.strip()
    rows = '[submodule "x"]\\n\\tpath = x/lib\\n\\turl = ../../lib/.git\\n'
    modules = sh(f"printf '{rows}' | git hash-object -w --stdin", source.path).stdout.strip()
    raw = b"".join(
        mode + b" " + name + b"\0" + bytes.fromhex(oid)
        for mode, name, oid in ((b"100644", b".gitmodules", modules), (b"120000", b"x", link), (b"40000", b"x", inner))
    )
    (place / "raw").write_bytes(raw)
    tree = source.git(f"hash-object -w -t tree --literally {place}/raw")
    commit = source.git(f"commit-tree {tree} -m twice")
    source.git(f"update-ref refs/heads/main {commit}")
    worktree = await stand(served, work, commit)
    assert not (worktree.path / "x").is_symlink()
    assert (worktree.path / "x/lib/code.py").exists()
    assert names(place / "outside") == []


async def test_what_was_fetched_once_is_not_fetched_again_and_lies_closed(served, work, source):
    base = add(source, "../../lib/.git", served.commits["lib"], "lib")
    await stand(served, work, base)
    before = len(served.seen)
    served.public.clear()
    for path in (work / "submodules").glob("*/*.git"):
        os.utime(path, (1, 1))
    worktree = await stand(served, work, base, name="u")
    assert all(path.stat().st_mtime > 1 for path in (work / "submodules").glob("*/*.git"))  # `leftovers` goes by it
    assert (worktree.path / "lib/in/code.py").exists()
    assert not [line for line, _ in served.seen[before:] if "/lib/" in line or "/deep/" in line]
    assert [path.stat().st_mode & 0o077 for path in (work / "submodules").iterdir()] == [0]


async def test_tasks_at_once_fetch_one_after_the_other(served, work, source):
    base = add(source, "../../lib/.git", served.commits["lib"], "lib")
    mirror = await Mirror.open(work / "mirrors", REPO, served.url)
    await mirror.fetch(ACCESS)
    stood = await asyncio.gather(*(stand(served, work, base, name=f"t{number}") for number in range(4)))
    assert all((each.path / "lib/code.py").exists() for each in stood)
    posts = [line for line, _ in served.seen if "/lib/" in line and "POST" in line]
    assert len(posts) <= 3  # one fetch: which refs, which commit


async def test_a_damaged_mirror_is_fetched_anew_by_the_next_attempt(served, work, source):
    base = add(source, "../../deeper/.git", served.commits["deeper"], "lib")
    await stand(served, work, base)
    objects = list((work / "submodules").glob("*/*/objects/??/*"))
    assert objects
    for path in objects:
        path.unlink()
        path.write_bytes(b"damaged")
    with pytest.raises(GitError, match="GW-GIT-FAILED"):
        await stand(served, work, base, name="u")
    worktree = await stand(served, work, base, name="v")
    assert (worktree.path / "lib/code.py").exists()


async def test_a_commit_that_is_not_there_and_a_host_that_is_away_say_so(served, work, source):
    base = add(source, "../../lib/.git", "3" * 40, "lib")
    with pytest.raises(GitError, match="GW-GIT-SUBMODULE"):
        await stand(served, work, base)
    base = add(source, "http://127.0.0.1:1/lib", served.commits["lib"], "lib")
    with pytest.raises(Unavailable, match="GW-GIT-AWAY"):
        await stand(served, work, base, allowed=("http://127.0.0.1:1/",))
    assert not list((work / "submodules").rglob(f"{COMMITS}*"))
