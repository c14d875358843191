from __future__ import annotations

from pathlib import Path

from bot.model.evidence import CheckRun
from runners.quality.detect import Check, Checks, detect
from runners.quality.run import NO_TESTS, run_checks
from tests.runners.loop.parts import BareJail


async def run(tmp_path: Path, *checks: Check, seconds: float = 60.0) -> list[CheckRun]:
    reported: list[CheckRun] = []
    wanted = Checks((), checks)
    runs = await run_checks(wanted, BareJail(tmp_path), remaining=lambda: seconds, report=reported.append)
    assert list(runs) == reported
    return reported


async def test_the_exit_code_is_the_judge_and_the_output_only_counts(tmp_path: Path) -> None:
    liar = Check("liar", "echo '3 passed in 0.1s'; exit 1")
    (found,) = await run(tmp_path, liar)
    assert (found.ok, found.exit_code, found.passed) == (False, 1, 3)


async def test_later_checks_run_after_a_failed_one(tmp_path: Path) -> None:
    found = await run(tmp_path, Check("a", "false"), Check("b", "true"))
    assert [one.exit_code for one in found] == [1, 0]


async def test_a_check_that_does_not_end_has_failed(tmp_path: Path) -> None:
    (found,) = await run(tmp_path, Check("a", "sleep 30"), seconds=1.0)
    assert not found.ok


async def test_what_is_missing_in_the_jail_is_replaced(tmp_path: Path) -> None:
    (found,) = await run(tmp_path, Check("a", "false", needs="exit 1", otherwise="echo other"))
    assert (found.command, found.tail) == ("echo other", "other\n")


async def test_a_unittest_that_finds_no_test_has_not_passed(tmp_path: Path) -> None:
    (found,) = await run(tmp_path, Check("a", "echo 'Ran 0 tests in 0.000s'; echo; echo OK"))
    assert found.exit_code == NO_TESTS


async def test_a_detected_python_check_runs_for_real(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "calc.py").write_text("x = 1\n")
    (tmp_path / "tests" / "test_a.py").write_text(
        "import unittest\nimport calc\n\n"
        "class A(unittest.TestCase):\n    def test_a(self): self.assertEqual(calc.x, 1)\n"
    )
    checks = detect({}, ["calc.py", "tests/test_a.py"])
    (found,) = await run_checks(checks, BareJail(tmp_path), remaining=lambda: 60.0, report=lambda _: None)
    assert (found.ok, found.passed) == (True, 1), found.tail


async def test_the_tail_of_a_long_output_is_kept(tmp_path: Path) -> None:
    (found,) = await run(tmp_path, Check("a", "seq 1 10000; echo the end"))
    assert found.tail.endswith("the end\n")
    assert len(found.tail) <= 4_000
