"""How many tests a check ran, where its output says so; never whether it passed, which its exit code alone decides."""

from __future__ import annotations

import re
from typing import Final

import msgspec

PYTEST: Final = re.compile(r"^=*\s*((?:\d+ [a-z]+(?:, )?)+) in [\d.]+s", re.MULTILINE)
UNITTEST: Final = re.compile(
    r"^Ran (\d+) tests? in [\d.]+s\s+^(?:OK|FAILED|NO TESTS RAN)(?: \(([^)]*)\))?", re.MULTILINE
)
JEST: Final = re.compile(r"^Tests:\s+((?:\d+ [a-z]+(?:, )?)+)$", re.MULTILINE)
CARGO: Final = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored", re.MULTILINE)
GO: Final = re.compile(r"^\s*--- (PASS|FAIL|SKIP): ", re.MULTILINE)
NODE: Final = re.compile(r"^(?:#|\u2139) (pass|fail|skipped) (\d+)$", re.MULTILINE)
WORDS: Final = re.compile(r"(\d+) ([a-z]+)")


class Counts(msgspec.Struct, frozen=True):
    """Tests by how they ended; errors count as failed."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)


def counts(output: str) -> Counts | None:
    """Read the summaries of pytest, unittest, jest, cargo, go test -v and node:test; None where there is none."""
    for read in (_summaries, _unittest, _cargo, _node, _go):
        found = read(output)
        if found is not None:
            return found
    return None


def ran_nothing(output: str) -> bool:
    """Tell whether unittest says that it found no test: Python below 3.12 exits with 0 then, later ones with 5."""
    found = UNITTEST.findall(output)
    return bool(found) and all(ran == "0" for ran, _ in found)


def _summaries(output: str) -> Counts | None:
    lines = PYTEST.findall(output) + JEST.findall(output)
    return sum((_worded(line) for line in lines), Counts()) if lines else None


def _worded(line: str) -> Counts:
    by = {word: int(number) for number, word in WORDS.findall(line)}
    return Counts(
        by.get("passed", 0) + by.get("xpassed", 0),
        by.get("failed", 0) + by.get("error", 0) + by.get("errors", 0),
        by.get("skipped", 0) + by.get("xfailed", 0) + by.get("todo", 0),
    )


def _unittest(output: str) -> Counts | None:
    found = UNITTEST.findall(output)
    if not found:
        return None
    total = Counts()
    for ran, detail in found:
        by = {name: int(number) for name, number in re.findall(r"([a-z ]+)=(\d+)", detail)}
        bad = by.get("failures", 0) + by.get("errors", 0) + by.get(" errors", 0)
        skipped = by.get("skipped", 0) + by.get(" skipped", 0)
        total += Counts(max(int(ran) - bad - skipped, 0), bad, skipped)
    return total


def _cargo(output: str) -> Counts | None:
    found = CARGO.findall(output)
    return sum((Counts(*map(int, line)) for line in found), Counts()) if found else None


def _node(output: str) -> Counts | None:
    by = {word: int(number) for word, number in NODE.findall(output)}
    return Counts(by.get("pass", 0), by.get("fail", 0), by.get("skipped", 0)) if by else None


def _go(output: str) -> Counts | None:
    words = GO.findall(output)
    return Counts(words.count("PASS"), words.count("FAIL"), words.count("SKIP")) if words else None
