from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from runners.quality.results import Counts, counts, ran_nothing

PYTEST = "..F.s [100%]\n=========================== short test summary info ====\nFAILED a.py::b\n{}\n"


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (PYTEST.format("1 failed, 3 passed, 1 skipped in 0.12s"), Counts(3, 1, 1)),
        (PYTEST.format("======= 12 passed, 2 warnings in 3.40s ======="), Counts(12, 0, 0)),
        (PYTEST.format("2 passed, 1 xfailed, 1 error in 1.00s"), Counts(2, 1, 1)),
        ("Ran 5 tests in 0.001s\n\nOK\n", Counts(5, 0, 0)),
        ("Ran 5 tests in 0.001s\n\nFAILED (failures=1, errors=2, skipped=1)\n", Counts(1, 3, 1)),
        ("Ran 1 test in 0.001s\n\nOK (skipped=1)\n", Counts(0, 0, 1)),
        ("Tests:       1 failed, 2 skipped, 5 passed, 8 total\nTime: 1 s\n", Counts(5, 1, 2)),
        ("test result: ok. 3 passed; 0 failed; 1 ignored\ntest result: FAILED. 1 passed; 2 failed; 0 ignored",
         Counts(4, 2, 1)),
        ("--- PASS: TestA (0.00s)\n    --- PASS: TestA/x (0.00s)\n--- FAIL: TestB (0.00s)\n--- SKIP: TestC\n",
         Counts(2, 1, 1)),
        ("# tests 3\n# pass 2\n# fail 1\n# skipped 0\n", Counts(2, 1, 0)),
        ("ok  \texample.com/x\t0.002s\n", None),
        ("all good\n", None),
        ("", None),
    ],
)  # fmt: skip
def test_counts_come_from_the_summary_or_not_at_all(output: str, expected: Counts | None) -> None:
    assert counts(output) == expected


def test_what_the_real_unittest_prints_is_understood(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text(
        "import unittest\n\n\nclass X(unittest.TestCase):\n    def test_a(self): pass\n"
        "    def test_b(self): self.fail()\n    @unittest.skip('x')\n    def test_c(self): pass\n"
        "    @unittest.expectedFailure\n    def test_d(self): self.fail()\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "unittest", "discover"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert counts(done.stderr) == Counts(2, 1, 1)
    assert not ran_nothing(done.stderr)


def test_a_unittest_that_found_nothing_is_noticed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "unittest", "discover"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran_nothing(done.stderr)
