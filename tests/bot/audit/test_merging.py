"""Evidence of many tasks in one repository: merges in any order never conflict, and git's settings leave it alone."""

from __future__ import annotations

import itertools
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bot.audit import layout
from bot.audit.verify import verify
from tests.bot.audit.story import git

TASKS = 20


def branches(repo: Path, files: dict[str, bytes], count: int) -> list[str]:
    """Make a repository with a branch for each task, all from one base, each with evidence and one file of work."""
    stream = [b"commit refs/heads/main\ncommitter b <b@example.org> 1795300000 +0000\ndata 4\nbase\n"]
    stream += [b"M 100644 inline README\ndata 2\nx\n\n"]
    names = [f"{number}-abcdef" for number in range(1, count + 1)]
    for name in names:
        head = f"commit refs/heads/{name}\ncommitter b <b@example.org> 1795300001 +0000\n"
        head += "data 4\nwork\nfrom refs/heads/main\n"
        stream.append(head.encode())
        for path, raw in {
            **{f"{layout.folder(name)}/{path}": raw for path, raw in files.items()},
            f"{name}.py": b"",
        }.items():
            stream.append(b"M 100644 inline %b\ndata %d\n%b\n" % (path.encode(), len(raw), raw))
    repo.mkdir()
    git(repo, "init", "-q", "-b", "main")
    git(repo, "fast-import", "--quiet", content=b"".join(stream))
    return names


def merged(repo: Path, names: list[str]) -> str:
    """Merge branches in this order by git's own strategy, without a work tree; answer the last tree."""
    head = git(repo, "rev-parse", "main")
    for name in names:
        tree = git(repo, "merge-tree", "--write-tree", head, name)  # exit 1 where there is a conflict
        head = git(repo, "commit-tree", tree, "-p", head, "-p", name, "-m", name)
    return git(repo, "rev-parse", f"{head}^{{tree}}")


def test_twenty_tasks_merge_in_every_order(sealed, tmp_path):
    repo = tmp_path / "many"
    names = branches(repo, sealed.files(), TASKS)
    four = {merged(repo, list(order)) for order in itertools.permutations(names[:4])}
    dice = random.Random(7)
    trees = {merged(repo, dice.sample(names, TASKS)) for _ in range(4)}

    assert (len(four), len(trees)) == (1, 1)
    listed = git(repo, "ls-tree", "-d", "--name-only", f"{trees.pop()}:{layout.ROOT}").split()
    assert sorted(listed) == sorted(names)


def test_they_merge_in_a_work_tree_too(sealed, tmp_path):
    repo = tmp_path / "many"
    names = branches(repo, sealed.files(), 6)
    git(repo, "checkout", "-q", "main")
    for name in reversed(names):
        git(repo, "merge", "-q", "--no-edit", name)

    assert git(repo, "status", "--porcelain") == ""


@pytest.mark.parametrize("settings", [("core.autocrlf=true",), ("core.autocrlf=input",), ("core.eol=crlf",),
                                      ("core.autocrlf=true", "core.eol=crlf", "core.safecrlf=false")])  # fmt: skip
def test_line_endings_of_a_checkout_leave_evidence_alone(sealed, tmp_path, settings):
    clone = tmp_path / "clone"
    options = [word for setting in settings for word in ("-c", setting)]
    git(sealed.repo, *options, "clone", "-q", *options, str(sealed.repo), str(clone))
    top = clone / layout.ROOT
    for path in (path for path in top.rglob("*") if path.is_file()):
        assert path.read_bytes() == (sealed.repo / path.relative_to(clone)).read_bytes()
    assert verify(clone)[0].exit_code == 0

    git(clone, "rm", "-rq", "--cached", layout.ROOT)
    git(clone, *options, "add", "-A")
    assert git(clone, "status", "--porcelain") == "", "adding it again changes nothing"


def test_attributes_of_the_repository_above_do_not_reach_evidence(sealed):
    (sealed.repo / ".gitattributes").write_text("* text=auto eol=crlf\n*.jsonl filter=evil merge=union\n")
    git(sealed.repo, "add", ".gitattributes")
    git(sealed.repo, "commit", "-qm", "attributes")
    shutil.rmtree(sealed.repo / ".gatewright")
    git(sealed.repo, "checkout", "-q", "--", ".gatewright")

    assert verify(sealed.repo)[0].exit_code == 0


def peak_kb(code: str, *arguments: object) -> int:
    program = f"import sys, resource; {code}; "
    program += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    argv = [sys.executable, "-c", program, *map(str, arguments)]
    return int(subprocess.run(argv, stdout=subprocess.PIPE, check=True, cwd=Path(__file__).parents[3]).stdout)


def test_a_hundred_thousand_records_are_verified_in_flat_memory(tmp_path):
    """Walking the chain, and the root over it, keep nothing; the reader of folders holds the files' bytes."""
    from tests.bench.evidence import journal

    path = tmp_path / "journal"
    with path.open("wb") as file:
        file.writelines(line + b"\n" for line in journal(100_000))
    short = tmp_path / "short"
    with path.open("rb") as file, short.open("wb") as out:
        out.writelines(itertools.islice(file, 10_000))
    code = "from pathlib import Path; from tests.bench.evidence import whole; whole(Path(sys.argv[1]))"

    assert peak_kb(code, path) < 1.1 * peak_kb(code, short)
