from __future__ import annotations

import pytest

from runners.scope import checks
from runners.scope.checks import is_test
from tests.runners.scope.parts import changed, gone, new, paths, said, view


@pytest.mark.parametrize(
    "path",
    [
        "tests/test_a.py", "test/a.rb", "src/__tests__/a.ts", "a_test.go", "web/a.test.tsx", "a.spec.js",
        "spec/a_spec.rb", "src/PayTest.java", "e2e/login.ts", "Tests/A.cs", "conftest.py", "tests/data.json",
    ],
)  # fmt: skip
def test_a_test(path: str) -> None:
    assert is_test(path)


@pytest.mark.parametrize("path", ["src/contest.py", "latest.py", "attest/a.py", "docs/testing.md", "src/spectrum.py"])
def test_no_test(path: str) -> None:
    assert not is_test(path)


def test_a_deleted_test_is_a_finding_and_so_is_one_that_moved() -> None:
    assert said(checks.tests_deleted(view(gone("tests/test_a.py")))) == "deleted"
    moved = view(gone("tests/test_a.py", "x\n"), new("old/a.py", "x\n"))
    assert said(checks.tests_deleted(moved)) == "moved to old/a.py"


def test_other_files_may_go() -> None:
    assert said(checks.tests_deleted(view(gone("src/a.py"), changed("tests/test_a.py")))) == ""


OLD = "def test_a():\n    assert f(1) == 2\n    assert f(2) == 3\n"


@pytest.mark.parametrize(
    ("path", "old", "text", "detail"),
    [
        ("tests/test_a.py", OLD, OLD.replace("    assert f(2) == 3\n", ""), "1 assertion(s) removed or changed"),
        ("tests/test_a.py", OLD, OLD.replace("== 3", "== 4"), "1 assertion(s) removed or changed"),
        ("tests/test_a.py", OLD, OLD + "    assert True\n    assert f(2) == 3\n", ""),
        ("tests/test_a.py", OLD, OLD.replace("    assert f(2) == 3\n", "    assert True\n"), "1 assertion(s) removed"),
        ("tests/test_a.py", OLD, "", "2 assertion(s) removed or changed, 1 test(s) removed"),
        ("tests/test_a.py", OLD, "@pytest.mark.skip\n" + OLD, "1 test(s) skipped"),
        ("tests/test_a.py", OLD, "@pytest.mark.xfail\n" + OLD, "1 test(s) skipped"),
        ("tests/test_a.py", OLD, OLD + "    self.skipTest('x')\n", "1 test(s) skipped"),
        ("web/a.test.ts", "it('a', f)\n", "it.only('a', f)\n", "1 test(s) removed or renamed, 1 test(s) skipped"),
        ("web/a.test.ts", "it('a', f)\n", "xit('a', f)\n", "1 test(s) removed or renamed, 1 test(s) skipped"),
        ("a_test.go", "t.Fatal(1)\n", "t.Skip()\nt.Fatal(1)\n", "1 test(s) skipped"),
        ("src/ATest.java", "", "@Disabled\nclass A {}\n", "1 test(s) skipped"),
        ("src/lib.rs", "", "#[allow(unused)]\n", "1 check(s) silenced"),
        ("run.sh", "pytest\n", "pytest || true\n", "1 check(s) silenced"),
        ("src/a.py", "x = 1\n", "x = 1  # type: ignore[x]\n", "1 check(s) silenced"),
        ("src/a.py", "x = 1\n", "x = 1  # noqa\ny = 2  # noqa\n", "2 check(s) silenced"),
        ("src/a.ts", "", "// @ts-nocheck\n", "1 check(s) silenced"),
        ("ci.yml", "", "continue-on-error: true\n", "1 check(s) silenced"),
    ],
)
def test_what_a_test_or_a_check_has_lost(path: str, old: str, text: str, detail: str) -> None:
    found = said(checks.tests_weakened(view(changed(path, old, text))))
    assert found.startswith(detail)
    assert bool(found) == bool(detail)


@pytest.mark.parametrize(
    ("path", "old", "text"),
    [
        ("tests/test_a.py", OLD, OLD + "\n\ndef test_b():\n    assert f(3) == 4\n"),
        ("tests/test_a.py", OLD, "class TestA:\n" + "".join(f"    {line}\n" for line in OLD.splitlines())),
        ("tests/test_a.py", OLD, "skip_lines = 3\n" + OLD),
        ("src/a.py", "x = 1  # noqa\n", "x = 2  # noqa\n"),
        ("src/a.py", "assert x\n", ""),
        ("src/a.js", "", "const on = a || true_value\n"),
        ("docs/a.md", "", "run `make || true`\n"),
        ("src/reader.py", "", "def skip(n): ...\n"),
    ],
)
def test_a_near_miss(path: str, old: str, text: str) -> None:
    assert said(checks.tests_weakened(view(changed(path, old, text)))) == ""


def test_a_deleted_test_is_not_weakened_as_well() -> None:
    assert paths(checks.tests_weakened(view(gone("tests/test_a.py", OLD)))) == []
