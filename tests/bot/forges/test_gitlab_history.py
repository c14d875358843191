"""The past as GitLab tells it: held against real git, and against answers that are cut, odd or missing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.forges.gitlab import GitLab
from bot.forges.gitlab_history import TreeEntry, tree_id
from bot.model.errors import GatewrightError
from bot.model.event import AccountKind, Actor, Arrival
from tests.bot.forges.conftest import raises
from tests.simulators.gitlab import GitLabSimulator
from tests.simulators.gitlab.people import Person

Bots = Callable[..., GitLab]
FULL = "f" * 40


def git(folder: Path, *words: str, stdin: bytes = b"") -> str:
    env = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    who = ("-c", "user.name=Mira", "-c", "user.email=mira@example.com")
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *words], env=env, input=stdin, capture_output=True, check=True
    )
    return done.stdout.decode()


def listed(folder: Path, tree: str) -> list[TreeEntry]:
    """List a directory as GitLab does, folders first."""
    found = [entry.partition("\t") for entry in git(folder, "ls-tree", "-z", tree).split("\0") if entry]
    entries = [TreeEntry(mode=h.split()[0], type=h.split()[1], id=h.split()[2], name=name) for h, _, name in found]
    return sorted(entries, key=lambda entry: entry.type != "tree")


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_a_tree_is_named_as_git_names_it(tmp_path: Path, algorithm: str) -> None:
    """Folders sort as if they ended in a slash; links, programs, submodules and names of all kinds count."""
    git(tmp_path, "init", "-q", f"--object-format={algorithm}", "-b", "main")
    for path in ("a", "a.txt", "a-b", "a0", "é ü", "lib/x", "lib.py", "lib-y/z", "zz"):
        file = tmp_path / path
        if path == "a":
            file = tmp_path / "a" / "inner"
        file.parent.mkdir(exist_ok=True)
        file.write_text(path)
    (tmp_path / "zz").chmod(0o755)
    (tmp_path / "link").symlink_to("zz")
    git(tmp_path, "add", "-A")
    width = 40 if algorithm == "sha1" else 64
    git(tmp_path, "update-index", "--add", "--cacheinfo", f"160000,{'1' * width},vendor")
    tree = git(tmp_path, "write-tree").strip()
    entries = listed(tmp_path, tree)
    assert {entry.mode for entry in entries} == {"100644", "100755", "120000", "160000", "040000"}
    assert tree_id(entries) == tree
    assert tree_id(reversed(entries)) == tree
    assert tree_id(entries[:-1]) != tree


ENTRY = TreeEntry(id="a" * 40, name="a", type="blob", mode="100644")


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [ENTRY, ENTRY],
        [ENTRY, TreeEntry(id="b" * 64, name="b", type="blob", mode="100644")],
        [TreeEntry(id="a" * 39, name="a", type="blob", mode="100644")],
        [TreeEntry(id="a" * 40, name="a/b", type="blob", mode="100644")],
        [TreeEntry(id="a" * 40, name="", type="blob", mode="100644")],
        [TreeEntry(id="a" * 40, name="caf\ufffd", type="blob", mode="100644")],
        [TreeEntry(id="a" * 40, name="\udce9", type="blob", mode="100644")],
        [TreeEntry(id="a" * 40, name="a", type="tree", mode="100644")],
        [TreeEntry(id="a" * 40, name="a", type="blob", mode="100666")],
    ],
)
def test_a_directory_that_cannot_be_git_s_has_no_name(entries: list[TreeEntry]) -> None:
    with pytest.raises(GatewrightError) as caught:
        tree_id(entries)
    assert caught.value.code == "GW-FORGE-INVALID"


async def test_a_tree_of_many_entries_is_read_to_its_end(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person
) -> None:
    """GitLab lists a hundred at a time; what lies behind them must not escape."""
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    many = {f"f{number:03}.txt": str(number) for number in range(250)}
    one = dev.commits("work", many | {"sub/x": "x"})
    named = await forge.tree(repo, one)
    assert named == gitlab.do(lambda: gitlab.hosting.git(dev.project, "rev-parse", f"{one}^{{tree}}")).decode().strip()
    other = dev.commits("work", {"f249.txt": "changed"})
    assert await forge.tree(repo, other) != named
    again = dev.commits("work", {"f249.txt": "249"})
    assert await forge.tree(repo, again) == named


async def test_a_list_whose_links_were_taken_out_is_no_tree(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person
) -> None:
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    sha = dev.commits("work", {"a": "a"})
    rows = b",".join(
        b'{"id":"%b","name":"f%03d","type":"blob","path":"f","mode":"100644"}' % (b"a" * 40, n) for n in range(100)
    )
    gitlab.fault(
        "GET", "/repository/tree", status=200, body=b"[" + rows + b"]", headers={"content-type": "application/json"}
    )
    await raises("GW-FORGE-INVALID", forge.tree(repo, sha))


async def test_compared_paths_are_of_both_names_and_of_both_sides(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person
) -> None:
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    base = dev.commits("work", {"old name.py": "x = 1\n" * 20})
    await forge.head(repo, "work")
    gitlab.do(lambda: _rename(gitlab, dev, "old name.py", "new/näme.py"))
    seen = await forge.compare(repo, base, "work")
    assert (seen.is_ancestor, seen.is_whole) == (True, True)
    assert seen.paths == ("new/näme.py", "old name.py")
    there = dev.commits("other", {"b.txt": "b"})
    apart = await forge.compare(repo, there, base)
    assert (apart.is_ancestor, apart.paths, apart.is_whole) == (False, ("b.txt", "old name.py"), True)


def _rename(gitlab: GitLabSimulator, dev: Person, old: str, new: str) -> None:
    head = "commit refs/heads/work\ncommitter M <m@x> 1700000000 +0000\ndata 1\nr\nfrom refs/heads/work^0\n"
    stream = f'{head}R "{old}" "{new}"\n'
    gitlab.hosting.git(dev.project, "fast-import", "--quiet", stdin=stream.encode())


async def test_a_comparison_that_gitlab_cut_is_not_whole(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person
) -> None:
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    base = await forge.head(repo, "main")
    head = dev.commits("work", {f"f{n}": "x" for n in range(12)})
    gitlab.do(lambda: setattr(gitlab.traits, "most_paths", 12))
    assert (await forge.compare(repo, base, head)).is_whole
    gitlab.do(lambda: setattr(gitlab.traits, "most_paths", 11))
    cut = await forge.compare(repo, base, head)
    assert (cut.is_ancestor, cut.is_whole, len(cut.paths)) == (True, False, 11)


async def test_an_answer_that_does_not_say_it_is_whole_is_not(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person
) -> None:
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    head = dev.commits("work", {"a": "a"})
    gitlab.fault(
        "GET", "/repository/compare", status=200, body=b'{"diffs":[]}', headers={"content-type": "application/json"}
    )
    assert not (await forge.compare(repo, "main", head)).is_whole


async def test_histories_without_a_common_commit(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    orphan = "commit refs/heads/orphan\ncommitter M <m@x> 1700000000 +0000\ndata 1\no\nM 100644 inline x\ndata 1\nx\n"
    gitlab.do(lambda: gitlab.hosting.git(dev.project, "fast-import", "--quiet", stdin=orphan.encode()))
    seen = await forge.compare(repo, "main", "orphan")
    assert (seen.is_ancestor, seen.is_whole) == (False, False)
    gitlab.fault("GET", "/merge_base", status=404, body=b'{"message":"404 Project Not Found"}')
    await raises("GW-FORGE-NOT-FOUND", forge.compare(repo, "main", "orphan"))


async def test_a_branch_is_meant_and_not_a_tag_of_the_same_name(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person
) -> None:
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    base = await forge.head(repo, "main")
    head = dev.commits("work", {"a": "a"})
    gitlab.do(lambda: gitlab.hosting.set_ref(dev.project, "refs/tags/work", base))
    assert (await forge.compare(repo, base, "work")).paths == ("a",)
    last = await forge.last_change(repo, "a", "work")
    assert last is not None
    assert last.commit == head


async def test_nobody_is_named_for_a_commit_whatever_address_it_bears(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person
) -> None:
    """Anybody can write Mira's address into a commit."""
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    tip = dev.commits("main", {".gatewright.toml": "x = 1"})
    last = await forge.last_change(repo, ".gatewright.toml", "main")
    assert last is not None
    assert (last.commit, last.by) == (tip, 0)
    await raises("GW-FORGE-NOT-FOUND", forge.last_change(repo, ".gatewright.toml", "nowhere"))


async def test_labels_have_a_history(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    """At opening as well; who it was is an account of unknown kind until it is asked for."""
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    tom = gitlab.user("tom", dev.project, "reporter")
    number = dev.opens_issue("a", labels=("bug",))
    tom.labels_issue(number, "gatewright")
    machine, _ = gitlab.access_token(dev.project)
    machine.unlabels_issue(number, "bug")
    seen = await forge.label_events(repo, number)
    assert [(e.label, e.is_set, e.actor.id) for e in seen] == [
        ("bug", True, dev.id), ("gatewright", True, tom.id), ("bug", False, machine.id),
    ]  # fmt: skip
    assert {event.actor.kind for event in seen} == {AccountKind.UNKNOWN}
    assert (await forge.account(repo, seen[2].actor)).kind is AccountKind.BOT
    assert all(event.at_ms > 0 for event in seen)


async def test_a_deleted_label_is_nobodys_word(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    """What was set before it was deleted says nothing about one of the same name that was made later."""
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    number = dev.opens_issue("a", labels=("gatewright", "bug"))
    gone = [label for label in dev.project.labels if label.title == "gatewright"]
    gitlab.do(lambda: dev.project.labels.remove(*gone))
    assert [event.label for event in await forge.label_events(repo, number)] == ["bug"]


async def test_a_long_history_is_read_to_its_end(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    """Who set the label last stands at the end."""
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    number, tom = dev.opens_issue("a"), gitlab.user("tom", dev.project, "developer")
    for _ in range(60):
        dev.labels_issue(number, "gatewright")
        dev.unlabels_issue(number, "gatewright")
    tom.labels_issue(number, "gatewright")
    seen = await forge.label_events(repo, number)
    assert (len(seen), seen[-1].actor.id) == (121, tom.id)


async def test_the_history_of_a_deleted_account_is_the_ghosts(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person
) -> None:
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    body = b'[{"id":1,"user":null,"created_at":"2026-11-21T10:00:00.000Z","label":{"name":"x"},"action":"add"}]'
    gitlab.fault("GET", "/resource_label_events", status=200, body=body, headers={"content-type": "application/json"})
    [seen] = await forge.label_events(repo, dev.opens_issue("a"))
    assert seen.actor == Actor(0, "ghost", AccountKind.UNKNOWN)


async def test_how_an_issue_came_here(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    elsewhere = dev.within(gitlab.project("pay/elsewhere"))
    elsewhere.is_granted("developer")
    source = elsewhere.opens_issue("moved", labels=("gatewright",))
    cases = {
        dev.opens_issue("opened", "moved from pay/elsewhere#1"): Arrival.OPENED,
        dev.imports_issue("imported"): Arrival.IMPORTED,
        gitlab.service_desk(dev.project, "mailed"): Arrival.SERVICE_DESK,
        elsewhere.transfers_issue(source, dev.project): Arrival.MOVED,
    }
    dev.comments(next(iter(cases)), "moved from pay/elsewhere#2")  # anybody can write this
    for number, arrival in cases.items():
        seen = await forge.issue(repo, number)
        assert seen is not None
        assert (seen.title, seen.arrival) == (dev.project.issues[number].title, arrival)
        assert seen.created_ms > 0
    assert await forge.issue(gitlab.repo(elsewhere.project), source) is None


async def test_an_account_that_is_called_like_gitlabs_own_is_taken_for_it(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person
) -> None:
    """The other way round nobody gains anything by a name."""
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    named = gitlab.user("support-bot1", dev.project, "developer")
    seen = await forge.issue(repo, named.opens_issue("mailed, perhaps"))
    assert seen is not None
    assert seen.arrival is Arrival.SERVICE_DESK


async def test_a_move_is_found_behind_a_page_of_other_notes(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person
) -> None:
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    elsewhere = dev.within(gitlab.project("pay/elsewhere"))
    source = elsewhere.opens_issue("busy")
    for _ in range(101):
        elsewhere.closes(source)
        elsewhere.reopens(source)
    moved = elsewhere.transfers_issue(source, dev.project)
    seen = await forge.issue(repo, moved)
    assert seen is not None
    assert seen.arrival is Arrival.MOVED


async def test_an_issue_whose_history_is_not_told_is_not_read(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person
) -> None:
    repo, forge, number = gitlab.repo(dev.project), gitlab_bot(dev.project), dev.opens_issue("a")
    gitlab.fault("GET", "/notes$", status=403)
    await raises("GW-FORGE-FORBIDDEN", forge.issue(repo, number))
    await raises("GW-FORGE-NOT-FOUND", forge.tree(repo, FULL))
