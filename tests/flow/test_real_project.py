"""A project that nobody here wrote: its own suite, run by the harness, finds what neither coder nor judge has seen."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.flow.house import House
from tests.flow.talk import Talk, chat_tables, git
from tests.independent import verify_evidence
from tests.simulators.github import GitHubSimulator
from tests.simulators.models import ModelServer, Script, Step, Tool

NAME, VERSION = "cachetools", "5.5.2"  # MIT; plain Python, its tests need nothing but unittest
SHA256 = "1a661caa9175d26759571b2e19580f9d6393969e5dfca11fdb1f947a23e640d4"
SUITE = "PYTHONPATH=.:src python3 -m unittest -q"

SPEC = """# Clear an LFU cache in one pass

`LFUCache.clear()` looks for the least frequently used item once for every item, which takes quadratic time.

## Acceptance criteria

- **AC-1**: `LFUCache.clear()` never asks which item is used least.
- **AC-2**: After `clear()` the cache is empty and can be filled again.
"""
PLAN = """# Plan: Clear an LFU cache in one pass

One method and its test.

## Steps

### 1. Give LFUCache a clear of its own

- Files: `src/cachetools/__init__.py`, `tests/test_lfu.py`
- Criteria: AC-1, AC-2
- Verify: `python3 -m unittest tests.test_lfu`

Beside `popitem`.
"""
POPITEM = '''    def popitem(self):
        """Remove and return the `(key, value)` pair least frequently used."""
'''
# Forgets the items: MutableMapping.clear pops until there is nothing to pop, and finds the counter empty at once.
CARELESS = '''    def clear(self):
        """Remove all items without asking for the least frequently used one each time."""
        self.__counter.clear()
        Cache.clear(self)

'''
CAREFUL = '''    def clear(self):
        """Remove all items without asking for the least frequently used one each time."""
        for key in list(self.__counter):
            del self[key]

'''
IMPORT = "import unittest\n\nfrom cachetools import LFUCache\n"
ANCHOR = "    def test_lfu_getsizeof(self):\n"
WEAK_TEST = """    def test_lfu_clear_does_not_search(self):
        cache = LFUCache(maxsize=2)
        with unittest.mock.patch("collections.Counter.most_common", return_value=()) as search:
            cache.clear()
        self.assertLessEqual(search.call_count, 1)

"""
STRONG_TEST = """    def test_lfu_clear_empties(self):
        cache = LFUCache(maxsize=2)
        cache.update({1: 1, 2: 2})
        with unittest.mock.patch("collections.Counter.most_common") as search:
            cache.clear()
        search.assert_not_called()
        self.assertEqual((0, 0), (len(cache), cache.currsize))
        cache[3] = 3
        self.assertEqual([3], list(cache))

"""
JUDGED = {
    "criteria": [
        {"id": "AC-1", "met": "met", "evidence": "`LFUCache.clear` in src/cachetools/__init__.py"},
        {"id": "AC-2", "met": "met", "evidence": "tests/test_lfu.py"},
    ],
    "summary": "Looks good to me.",
}


def edit(path: str, old: str, new: str) -> Tool:
    return Tool("edit", {"path": path, "old": old, "new": new})


def story() -> list[Step]:
    """What the model says: a plausible change, a judge who believes it, and the fix."""
    code, tests = "src/cachetools/__init__.py", "tests/test_lfu.py"
    verdict = Step(text=json.dumps(JUDGED))
    return [
        Step(text=SPEC),
        Step(text=PLAN),
        Step(tools=(Tool("read", {"path": code}), Tool("read", {"path": tests}))),
        Step(
            tools=(
                edit(code, POPITEM, CARELESS + POPITEM),
                edit(tests, IMPORT, IMPORT.replace("unittest\n", "unittest\nimport unittest.mock\n", 1)),
                edit(tests, ANCHOR, WEAK_TEST + ANCHOR),
            )
        ),
        Step(tools=(Tool("run", {"command": "PYTHONPATH=src python3 -m unittest -q tests.test_lfu 2>&1 | tail -3"}),)),
        Step(text="LFUCache has a clear of its own."),
        verdict,
        Step(tools=(Tool("run", {"command": f"{SUITE} 2>&1 | tail -3"}),)),
        Step(tools=(edit(code, CARELESS, CAREFUL), edit(tests, WEAK_TEST, STRONG_TEST))),
        Step(tools=(Tool("run", {"command": f"{SUITE} 2>&1 | tail -3"}),)),
        Step(text="The items are removed now, too."),
        verdict,
    ]


@pytest.fixture(scope="session")
def project() -> dict[str, str | bytes]:
    """The released sources, file by file."""
    cache = Path(tempfile.gettempdir()) / f"gatewright-tests-{os.getuid()}"
    cache.mkdir(mode=0o700, exist_ok=True)
    sdist = cache / f"{NAME}-{VERSION}.tar.gz"
    if not _is_genuine(sdist):
        # Only this one from source: what pip needs to look into it may be wheels.
        fetch = ["download", "--quiet", "--no-deps", "--no-binary", NAME, "--dest", str(cache), f"{NAME}=={VERSION}"]
        ran = subprocess.run([sys.executable, "-m", "pip", *fetch], capture_output=True, text=True, check=False)
        if ran.returncode:
            missing(f"the source distribution {sdist.name}: {ran.stderr.strip()[-300:]}")
    assert _is_genuine(sdist), f"{sdist} is not the file that was released"
    with tarfile.open(sdist) as archive:
        members = [member for member in archive.getmembers() if member.isfile()]
        contents = {member.name.partition("/")[2]: archive.extractfile(member) for member in members}
        return {name: file.read() for name, file in sorted(contents.items()) if file}


def _is_genuine(sdist: Path) -> bool:
    return sdist.is_file() and hashlib.sha256(sdist.read_bytes()).hexdigest() == SHA256


@pytest.mark.timeout(180)
async def test_a_packages_own_suite_judges_the_change(
    github: GitHubSimulator, folder: Path, jailed: None, project: dict[str, str | bytes]
):
    talk = Talk(github, project, "tkem/cachetools")
    github.install(talk.repo)
    before = suite(talk, folder / "before", "main")
    async with ModelServer(Script(story())) as models, House(folder, chat_tables(github, models)) as house:
        talk.enter(house)
        issue = talk.asks("LFUCache.clear() is quadratic", "Clearing 100,000 items takes minutes.")
        task = await talk.reviewed(issue)
        assert models.script.left == 0

        # The judge believed the careless change; the package's own tests did not, and their exit code decided.
        runs = [record["data"] for record in await house.records(task, "test.run")]
        verdicts = [record["data"]["verdict"] for record in await house.records(task, "qa.verdict")]
        assert [run["exit"] == 0 for run in runs] == [False, True]
        assert runs[0]["failed"] == 2
        assert verdicts == ["failed", "passed"]
        assert runs[1]["passed"] == before + 1
        assert f"{before + 1} passed" in talk.repo.issues[task.pull.number].body

    # On the branch: the two files and the evidence, nothing else; and the suite passes for everybody.
    changed = git("-C", str(talk.repo.git), "diff", "--name-only", "main", task.branch).split()
    work = [path for path in changed if not path.startswith(".gatewright/tasks/")]
    assert work == ["src/cachetools/__init__.py", "tests/test_lfu.py"]
    assert suite(talk, folder / "after", task.branch) == before + 1
    assert verify_evidence(folder / "after" / ".gatewright" / "tasks" / task.origin.task) > 50
    proven(folder / "after", task.origin.task)


def proven(clone: Path, task: str) -> None:
    """Have `gatewright audit verify` say that the evidence is whole."""
    words = ["audit", "verify", str(clone), "--task", task, "--json"]
    proof = subprocess.run([sys.executable, "-m", "bot", *words], capture_output=True, text=True, check=False)
    assert proof.returncode == 0, proof.stdout + proof.stderr


def suite(talk: Talk, clone: Path, branch: str) -> int:
    """Run the package's tests on a branch as its maintainers would, and count those that passed."""
    git("clone", "-q", "-b", branch, str(talk.repo.git), str(clone))
    ran = subprocess.run(["sh", "-c", SUITE], cwd=clone, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found = re.search(r"^Ran (\d+) tests", ran.stderr, re.MULTILINE)
    assert found, ran.stderr
    return int(found[1])
