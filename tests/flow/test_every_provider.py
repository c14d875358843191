"""The same two-file task through every provider, its genuine runtime alone with a scripted model: `make providers`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, missing
from tests.flow.conftest import open_folder
from tests.flow.every import FILES
from tests.runners.providers.cases import CASES

LIKE = "openai"  # our own loop, to whose evidence that of all others is held
OPTIONAL = {"exit", "error_code", "dur_ms"}  # what some calls of a kind have and others do not; 0 ms is left out


def shapes(files: list[str]) -> set[str]:
    """Name files but for the sizes of journals: some runtimes start more programs than others, each a record."""
    return {re.sub(r"/[0-9]{10}\.", "/SIZE.", path) for path in files}


def play(name: str, folder: Path, *budget: str) -> dict[str, Any]:
    """Play the demo with a provider in a process of its own."""
    if lacks := CASES[name].missing():
        missing(lacks)
    folder.mkdir()
    argv = [sys.executable, "-P", "-m", "tests.flow.every", name, str(folder), *budget]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def model_of_all() -> Iterator[dict[str, Any]]:
    with open_folder() as folder:
        yield play(LIKE, folder / LIKE)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", CASES)
def test_the_same_task_leaves_the_same_evidence_and_nothing_else(
    name: str, folder: Path, model_of_all: dict[str, Any], jailed: None
) -> None:
    found = model_of_all if name == LIKE else play(name, folder / name)
    assert found["code"] == 0, found["said"]
    assert found["changed"] == sorted(FILES)
    assert shapes(found["files"]) == shapes(model_of_all["files"])
    assert set(found["kinds"]) == set(model_of_all["kinds"])
    for kind, keys in model_of_all["keys"].items():
        assert set(found["keys"][kind]) ^ set(keys) <= OPTIONAL, kind

    # Alone on a machine with nothing but loopback: nobody was asked for but the model, with the real key, which
    # stands nowhere in what is left.
    assert found["alone"] or os.geteuid() != 0
    assert found["outside"] == []
    assert found["refused"] == 0
    assert found["leaks"] == []


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("name", "limit", "code"), [
    ("openai", "task_tokens", "GW-BUDGET-TASK"), ("codex", "task_tokens", "GW-BUDGET-TASK"),
    ("openai", "day_tokens", "GW-BUDGET-DAY"), ("openai", "attempt_tokens", "GW-BUDGET-ATTEMPT"),
])  # fmt: skip
def test_a_task_stops_at_its_budget_and_says_which(
    name: str, limit: str, code: str, folder: Path, jailed: None
) -> None:
    most = 100 if limit == "attempt_tokens" else 200  # each call is 120 tokens, and coding takes two
    found = play(name, folder / name, f"{limit}={most}")
    assert found["code"] != 0
    assert code in found["said"]
    assert f"{most} tokens" in found["said"]
