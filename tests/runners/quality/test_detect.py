from __future__ import annotations

import pytest

from bot.model.errors import GatewrightError
from runners.quality.detect import CONFIG, Check, detect

MAKE = b"all:\n\techo\n\ntest: all\n\tpytest\n"


def commands(files: dict[str, bytes], *paths: str) -> list[str]:
    return [check.command for check in detect(files, [*files, *paths]).checks]


def test_the_repositorys_own_word_decides_alone() -> None:
    config = b'[checks]\nunit = "tox -e py"\nlint = "ruff check"\n'
    found = detect({CONFIG: config, "Makefile": MAKE}, ["tests/test_a.py"])
    assert found.checks == (Check("unit", "tox -e py"), Check("lint", "ruff check"))


def test_set_up_runs_before_what_is_found() -> None:
    found = detect({CONFIG: b'setup = ["npm ci"]\n', "package.json": b'{"scripts": {"test": "jest"}}'}, [])
    assert (found.setup, found.checks) == (("npm ci",), (Check("npm", "npm test"),))


def test_no_checks_is_something_a_repository_has_to_say_in_words() -> None:
    assert detect({CONFIG: b"checks = []\n"}, ["tests/test_a.py"]).is_waived
    nothing = detect({CONFIG: b"[checks]\n"}, [])
    assert (nothing.checks, nothing.is_waived) == ((), False)
    assert not detect({}, ["README.md"]).is_waived


def test_a_makefile_with_a_test_target_comes_before_the_ecosystems() -> None:
    assert commands({"Makefile": MAKE}, "tests/test_a.py", "go.mod") == ["make test"]
    assert commands({"Makefile": b"test-all:\n\techo\n"}, "go.mod") == ["go test ./..."]
    assert commands({"Makefile": b"test := 1\n"}, "go.mod") == ["go test ./..."]


def test_every_ecosystem_that_is_there_is_run() -> None:
    package = b'{"scripts": {"test": "jest"}}'
    assert commands({"package.json": package}, "test_a.py", "go.mod", "Cargo.toml") == [
        "python3 -m pytest -q", "npm test", "go test ./...", "cargo test",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "package",
    [b'{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}', b"{", b"[]", b'{"scripts": 1}'],
)
def test_a_package_without_tests_has_none(package: bytes) -> None:
    assert commands({"package.json": package}) == []


def test_a_python_project_without_tests_has_none() -> None:
    assert commands({}, "pyproject.toml", "src/x.py") == []


def test_where_pytest_is_not_installed_unittest_is_told_where_to_look() -> None:
    (bare,) = detect({}, ["tests/test_a.py"]).checks
    assert (bare.needs, bare.otherwise) == ("python3 -c 'import pytest'", "python3 -m unittest discover -s tests")
    (package,) = detect({}, ["tests/__init__.py", "tests/test_a.py"]).checks
    assert package.otherwise == "python3 -m unittest discover"


@pytest.mark.parametrize("config", [b"checks = 3\n", b"[checks]\nx = 1\n", b"setup = 'x'\n", b"= =", b"\xff"])
def test_a_configuration_that_cannot_be_read_is_never_taken_for_no_checks(config: bytes) -> None:
    with pytest.raises(GatewrightError, match="GW-QA-CONFIG"):
        detect({CONFIG: config}, [])
