"""Rules that look at where a change is."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from typing import Any, Final

from bot.model.evidence import Plan
from bot.model.policy import Policy
from runners.scope.globs import any_matches, matches
from runners.scope.view import GITLINK, File, Finding, Rule, View, about

HOOKS: Final = (
    "**/.husky/**", "**/.githooks/**", "**/.git-hooks/**", "**/.pre-commit-config.y*ml", "**/.pre-commit-hooks.y*ml",
    "**/lefthook*.y*ml", "**/.lefthook*/**", "**/.lefthook*.y*ml", "**/.overcommit.yml", "**/.lintstagedrc*",
    "**/.gitattributes",
)  # fmt: skip
BUILD: Final = (
    "**/Makefile", "**/GNUmakefile", "**/*.mk", "**/justfile", "**/.justfile", "**/Taskfile*.y*ml", "**/Rakefile",
    "**/CMakeLists.txt", "**/conftest.py", "**/setup.py", "**/noxfile.py", "**/tox.ini", "**/pytest.ini", "**/tasks.py",
    "**/sitecustomize.py", "**/usercustomize.py", "**/*.pth", "**/build.rs", "**/gradlew", "**/gradlew.bat",
    "**/gradle/wrapper/**", "**/*.gradle", "**/*.gradle.kts", "**/gradle.properties", "**/mvnw", "**/mvnw.cmd",
    "**/.mvn/**", "**/.npmrc", "**/.yarnrc*", "**/.pnpmfile.cjs", "**/pip.conf", "**/.cargo/config*", "**/.envrc",
    "**/.vscode/**", "**/.idea/**", "**/jest.config.*", "**/vitest.config.*", "**/.mocharc*", "**/karma.conf.*",
    "**/.coveragerc", "**/mypy.ini", "**/ruff.toml", "**/.ruff.toml", "**/.flake8", "**/.eslintrc*",
    "**/eslint.config.*", "**/phpunit.xml*",
)  # fmt: skip
CONTAINER: Final = (
    "**/Dockerfile*", "**/*.Dockerfile", "**/Containerfile*", "**/docker-compose*.y*ml", "**/compose*.y*ml",
    "**/.devcontainer/**", "**/.devcontainer.json", "**/Vagrantfile",
)  # fmt: skip
AGENTS: Final = (
    "**/CLAUDE*.md", "**/AGENT.md", "**/AGENTS*.md", "**/GEMINI.md", "**/.claude/**", "**/.cursor*/**", "**/.cursor*",
    "**/.github/copilot*", "**/.github/copilot*/**", "**/.github/instructions/**", "**/.github/prompts/**",
    "**/.github/chatmodes/**", "**/.github/agents/**", "**/.windsurf*", "**/.windsurf*/**", "**/.clinerules*",
    "**/.clinerules*/**", "**/.roo*", "**/.roo*/**", "**/.aider*", "**/.mcp.json", "**/.codex/**", "**/.gemini/**",
    "**/.opencode/**", "**/opencode.json*", "**/.continue/**", "**/.junie/**", "**/.kiro/**",
)  # fmt: skip
HOOKS_PATH: Final = re.compile(r"core\.hookspath", re.IGNORECASE)
# Manifests of which only parts are run: how to read them, and which keys.
PARTLY: Final[dict[str, tuple[Callable[[str], Any], tuple[str, ...]]]] = {
    "package.json": (json.loads, ("scripts", "husky", "simple-git-hooks", "lint-staged", "bin")),
    "pyproject.toml": (tomllib.loads, ("build-system",)),
}


def outside_plan(view: View, plan: Plan) -> Iterator[Finding]:
    """See what no step of the plan names: by its path, by a folder above it, or by a glob."""
    named = {name.strip("/") for step in plan.steps for name in step.files}
    globs = [name for name in named if any(char in name for char in "*?[")]
    gone = {file.path for file in view.files if file.is_gone}  # a file's name is no leave for a folder in its place
    for file in view.files:
        parts = file.path.split("/")
        above = {"/".join(parts[:count]) for count in range(1, len(parts))} - gone
        if file.path not in named and not above & named and not any_matches(globs, file.path):
            yield about(Rule.OUTSIDE_PLAN, file, f"{_done(file)}; the plan does not name it")


def protected_path(view: View, policy: Policy) -> Iterator[Finding]:
    """See what policy protects."""
    for file in view.files:
        if pattern := any_matches(policy.protected_paths, file.path):
            yield about(Rule.PROTECTED_PATH, file, f"{_done(file)}; policy protects {pattern}")


def submodules(view: View) -> Iterator[Finding]:
    """See submodules that come, go or move."""
    for file in view.files:
        if GITLINK in (file.mode, file.old_mode) or matches("**/.gitmodules", file.path):
            yield about(Rule.SUBMODULES, file, f"{_done(file)}; submodules bring code of other repositories")


def hooks(view: View) -> Iterator[Finding]:
    """See what git runs, or hides, on the machine of whoever checks this out."""
    for file in view.files:
        if pattern := any_matches(HOOKS, file.path):
            yield about(Rule.HOOKS, file, f"{_done(file)}; git acts on {pattern}")
        elif any(HOOKS_PATH.search(line) for line in file.added):
            yield about(Rule.HOOKS, file, "names core.hooksPath")


def build_entry(view: View) -> Iterator[Finding]:
    """See what tools run or obey as soon as somebody builds, tests or opens the repository."""
    for file in view.files:
        name = file.path.rpartition("/")[2].casefold()
        if pattern := any_matches(BUILD, file.path):
            yield about(Rule.BUILD_ENTRY, file, f"{_done(file)}; tools run or obey {pattern}")
        elif name in PARTLY and (changed := _changed(file, *PARTLY[name])):
            yield about(Rule.BUILD_ENTRY, file, changed)


def container(view: View) -> Iterator[Finding]:
    """See what containers are made of."""
    for file in view.files:
        if pattern := any_matches(CONTAINER, file.path):
            yield about(Rule.CONTAINER, file, f"{_done(file)}; containers are made by {pattern}")


def agents(view: View) -> Iterator[Finding]:
    """See what steers coding agents, this one's successors among them."""
    for file in view.files:
        if pattern := any_matches(AGENTS, file.path):
            yield about(Rule.AGENTS, file, f"{_done(file)}; coding agents obey {pattern}")


def _changed(file: File, read: Callable[[str], Any], keys: tuple[str, ...]) -> str:
    try:
        old, new = _table(file.old, read), _table(file.new, read)
    except (ValueError, RecursionError):
        return "cannot be read, so what it runs is not known"
    found = [key for key in keys if old.get(key) != new.get(key)]
    return f"changes {', '.join(found)}" if found else ""


def _table(text: str, read: Callable[[str], Any]) -> dict[str, Any]:
    found = read(text) if text.strip() else {}
    if not isinstance(found, dict):
        raise ValueError("no table")  # noqa: TRY004 - as the parsers say it
    return found


def _done(file: File) -> str:
    return "deleted" if file.is_gone else "new" if file.is_new else "changed"
