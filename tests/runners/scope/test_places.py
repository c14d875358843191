from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bot.model.policy import Policy
from runners.scope import places
from runners.scope.view import GITLINK, File, Finding, View
from tests.runners.scope.parts import changed, gone, new, paths, plan, said, view


@pytest.mark.parametrize(
    ("named", "path", "covered"),
    [
        ("calc.py", "calc.py", True),
        ("calc.py", "src/calc.py", False),
        ("calc.py", "calc.pyc", False),
        ("calc.py", "Calc.py", False),
        ("src/pay", "src/pay/retry.py", True),
        ("src/pay/", "src/pay/deep/retry.py", True),
        ("src/pay", "src/payment.py", False),
        ("src/**/test_*.py", "src/a/b/test_c.py", True),
        ("src/*.py", "src/a/b.py", False),
    ],
)
def test_a_plan_covers_a_path_a_folder_or_a_glob(named: str, path: str, covered: bool) -> None:
    assert paths(places.outside_plan(view(new(path)), plan(named))) == ([] if covered else [path])


def test_a_folder_in_the_place_of_a_planned_file_is_not_covered() -> None:
    found = places.outside_plan(view(gone("calc.py"), new("calc.py/hidden.py")), plan("calc.py"))
    assert paths(found) == ["calc.py/hidden.py"]


def test_deletions_are_outside_the_plan_too() -> None:
    assert said(places.outside_plan(view(gone("b.py")), plan("a.py"))) == "deleted; the plan does not name it"


@pytest.mark.parametrize(
    "path", [".github/workflows/x.yml", "CODEOWNERS", "docs/CodeOwners", "uv.lock", ".gatewright.toml", "Jenkinsfile"]
)
def test_policy_protects_paths_whatever_their_case(path: str) -> None:
    assert paths(places.protected_path(view(changed(path)), Policy())) == [path]
    assert paths(places.protected_path(view(gone(path)), Policy())) == [path]


def test_what_policy_does_not_name_is_not_protected() -> None:
    assert paths(places.protected_path(view(new("github/workflows.py")), Policy())) == []
    own = Policy(protected_paths=("infra/**",))
    assert paths(places.protected_path(view(new("infra/a.tf"), new("uv.lock")), own)) == ["infra/a.tf"]


Look = Callable[[View], Iterator[Finding]]
HITS: list[tuple[Look, File]] = [
    (places.submodules, new("vendor/lib", "", mode=GITLINK)),
    (places.submodules, changed("vendor/lib", "", "", old_mode=GITLINK)),
    (places.submodules, gone(".gitmodules")),
    (places.hooks, new(".husky/pre-commit")),
    (places.hooks, changed(".githooks/post-checkout")),
    (places.hooks, changed("web/.pre-commit-config.yaml")),
    (places.hooks, new("lefthook.yml")),
    (places.hooks, new("src/.gitattributes")),
    (places.hooks, changed("setup.sh", "", "git config Core.HooksPath .h\n")),
    (places.build_entry, changed("Makefile")),
    (places.build_entry, changed("sub/makefile")),
    (places.build_entry, new("justfile")),
    (places.build_entry, new("Taskfile.yml")),
    (places.build_entry, new("tests/conftest.py")),
    (places.build_entry, changed("setup.py")),
    (places.build_entry, changed("noxfile.py")),
    (places.build_entry, changed("tox.ini")),
    (places.build_entry, changed("gradle/wrapper/gradle-wrapper.properties")),
    (places.build_entry, changed("gradlew")),
    (places.build_entry, new("src/evil.pth")),
    (places.build_entry, new(".vscode/tasks.json")),
    (places.build_entry, changed("package.json", '{"scripts": {}}', '{"scripts": {"postinstall": "x"}}')),
    (places.build_entry, changed("package.json", "{}", "[" * 100_000)),
    (places.build_entry, changed("pyproject.toml", "", '[build-system]\nbuild-backend = "own"\n')),
    (places.build_entry, changed("pyproject.toml", "", "[[[")),
    (places.container, changed("Dockerfile")),
    (places.container, new("deploy/Dockerfile.prod")),
    (places.container, new("app.dockerfile")),
    (places.container, changed("docker-compose.override.yml")),
    (places.container, changed("compose.yaml")),
    (places.container, new(".devcontainer/devcontainer.json")),
    (places.agents, changed("CLAUDE.md")),
    (places.agents, new("src/agents.md")),
    (places.agents, new(".claude/settings.json")),
    (places.agents, new(".cursorrules")),
    (places.agents, new(".cursor/rules/x.mdc")),
    (places.agents, new(".github/copilot-instructions.md")),
    (places.agents, new("GEMINI.md")),
    (places.agents, new(".mcp.json")),
]
MISSES: list[tuple[Look, File]] = [
    (places.submodules, new("gitmodules.md")),
    (places.hooks, new("src/hooks/use_state.ts")),
    (places.hooks, new("husky.md")),
    (places.hooks, changed("a.sh", "core.hooksPath\n", "core.hooksPath\nother\n")),
    (places.build_entry, new("docs/makefile.md")),
    (places.build_entry, new("setup.py.txt")),
    (places.build_entry, changed("package.json", '{"version": "1"}', '{"version": "2"}')),
    (places.build_entry, changed("pyproject.toml", "[project]\n", '[project]\nname = "a"\n')),
    (places.build_entry, changed("other.json", "{}", '{"scripts": {}}')),
    (places.container, new("src/docker.py")),
    (places.container, new("composer.json")),
    (places.agents, new("docs/cursor.md")),
    (places.agents, new("src/claude.py")),
]


@pytest.mark.parametrize(("rule", "file"), HITS, ids=lambda each: getattr(each, "path", getattr(each, "__name__", "")))
def test_a_hit(rule: Look, file: File) -> None:
    assert paths(rule(view(file))) == [file.path]


@pytest.mark.parametrize(
    ("rule", "file"), MISSES, ids=lambda each: getattr(each, "path", getattr(each, "__name__", ""))
)
def test_a_near_miss(rule: Look, file: File) -> None:
    assert paths(rule(view(file))) == []


def test_a_manifest_says_what_of_it_is_run() -> None:
    file = changed("web/package.json", "{}", '{"scripts": {"test": "true"}, "name": "a"}')
    assert said(places.build_entry(view(file))) == "changes scripts"
