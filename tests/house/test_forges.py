"""What is particular to GitLab is known in `bot/forges/gitlab*`, and elsewhere by name only, where parts are joined."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.house.code import PACKAGES, ROOT, SAMPLE, short, sources, tree

HOME = "bot/forges/gitlab"
# Every other file that says the name, and what for.
NAMED = {
    "bot/model/event.py": "the name of the forge, in records and keys",
    "bot/settings.py": "its table",
    "bot/network.py": "its table names one more authority",
    "bot/wiring.py": "makes the client, where its table says so",
    "bot/app.py": "the route of its deliveries, and whether they can be told from anybody's",
    "bot/tasks/teams.py": 'the host of its table begins a "host/path"',
    "bot/project_secrets.py": "for which forge a table of secrets is",
    "bot/control.py": "which parser reads which deliveries",
    "bot/supervisor.py": "tells on starting which events to tick",
    "bot/cli.py": "options of doctor",
    "bot/terminal/checks.py": "what doctor was asked to look at",
    "bot/terminal/checks_services.py": "doctor: prints what bot/forges/gitlab_survey and gitlab_selftest say",
    "bot/terminal/doctor.py": "the list of checks",
    "bot/audit/redact_tokens.py": "what its tokens look like, so that none is kept",
    "bot/audit/redact_values.py": "headers that carry its tokens, so that none is kept",
    "bot/known_secrets.py": "its secrets in the settings, so that none is kept",
    "bot/reports/templates/commands_page.md.j2": "docs/commands.md, the page for the people of all forges",
    "bot/model/policy.py": "where its CI files lie, so that a change of them is a finding",
    "runners/scope/ci.py": "where its CI files lie and what they include, so that a change of them is a finding",
    "runners/workspace/hush.py": "its push option that starts no CI",
}
# Knowledge without the name: words, Markdown, addresses and headers that only GitLab has.
PECULIAR = re.compile(
    r"(?<!pull or )merge[ _]request|>>>|quick action|/api/v4|x-gitlab|private-token|glpat", re.IGNORECASE
)
KNOWING = {
    "bot/audit/redact_tokens.py": "what its tokens look like, so that none is kept",
    "bot/audit/redact_values.py": "headers that carry tokens, of all services, so that none is kept",
    "bot/supervisor.py": "tells on starting which events to tick",
}


def texts() -> Iterator[tuple[str, str]]:
    """Give every file that is shipped, save compiled ones and the sample, which is somebody else's project."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and SAMPLE not in path.parents:
                yield short(path), path.read_text(encoding="utf-8")


def test_only_files_with_a_reason_name_gitlab() -> None:
    naming = {name for name, text in texts() if "gitlab" in text.lower() and not name.startswith(HOME)}
    assert naming == set(NAMED), "say it in bot/forges/gitlab*, or as a member of bot.model.manners.Manners"


def test_words_and_grammar_know_no_forge_at_all() -> None:
    for name, path in sources().items():
        if name.startswith(("bot.commands", "bot.reports")):
            assert not re.search(r"github|gitlab|ForgeKind", "\n".join(_strings_and_names(tree(path)))), name


def test_what_only_gitlab_has_is_written_nowhere_else() -> None:
    knowing = {
        short(path)
        for path in sources().values()
        if not short(path).startswith(HOME) and any(map(PECULIAR.search, _strings_and_names(tree(path))))
    }
    assert knowing == set(KNOWING)


def _strings_and_names(module: ast.Module) -> Iterator[str]:
    """List what a program does with: strings that are no docstrings, and names."""
    described = {
        id(node.body[0].value)
        for node in ast.walk(module)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in described:
            yield node.value
        elif isinstance(node, ast.Constant) and isinstance(node.value, bytes):
            yield node.value.decode("latin-1")
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.alias):
            yield node.name
