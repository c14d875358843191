"""One factory makes every Claude client: held over the syntax trees of the whole project."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FACTORY = ("runners/providers/claude.py", "create_client")
CLIENTS = frozenset(
    {
        "ClaudeSDKClient", "query", "Transport", "SubprocessCLITransport", "InternalClient",
        "Anthropic", "AsyncAnthropic", "AnthropicBedrock", "AsyncAnthropicBedrock", "AnthropicVertex",
        "AsyncAnthropicVertex", "AnthropicFoundry", "AsyncAnthropicFoundry", "Client", "AsyncClient",
    }
)  # fmt: skip
SDKS = ("claude_agent_sdk", "anthropic")


def clients(tree: ast.AST) -> list[tuple[str, str]]:
    """List (innermost function, what) for every use of an SDK that makes a client."""
    found: list[tuple[str, str]] = []
    modules: set[str] = set()  # local names of the SDKs themselves
    names: dict[str, str] = {}  # local name -> what it makes

    def visit(node: ast.AST, function: str) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function = node.name
        if isinstance(node, ast.Import):
            modules.update(
                alias.asname or alias.name.split(".")[0] for alias in node.names if alias.name.split(".")[0] in SDKS
            )
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in SDKS:
            names.update({alias.asname or alias.name: alias.name for alias in node.names})
            found.extend((function, alias.name) for alias in node.names if alias.name == "*")
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and names.get(called.id) in CLIENTS:
                found.append((function, names[called.id]))
            if isinstance(called, ast.Attribute) and called.attr in CLIENTS and _root(called) in modules:
                found.append((function, called.attr))
        if isinstance(node, ast.ClassDef):
            found.extend((function, f"class {node.name}({base.id})") for base in node.bases
                         if isinstance(base, ast.Name) and names.get(base.id) in CLIENTS)  # fmt: skip
        for child in ast.iter_child_nodes(node):
            visit(child, function)

    visit(tree, "")
    return found


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def sources() -> list[Path]:
    """List every Python file of the project."""
    return sorted(path for folder in ("bot", "runners", "tests") for path in (ROOT / folder).rglob("*.py"))


def test_only_create_client_makes_a_claude_client() -> None:
    found = {
        (str(path.relative_to(ROOT)), function, what)
        for path in sources()
        for function, what in clients(ast.parse(path.read_text()))
    }
    assert found == {(*FACTORY, "ClaudeSDKClient")}


def test_no_tree_hides_an_sdk_behind_a_string() -> None:
    for path in sources():
        if path == Path(__file__).resolve():
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("importlib.import_module", "__import__"):
                assert not any(sdk in ast.unparse(node) for sdk in SDKS), path


@pytest.mark.parametrize(
    "code",
    [
        "from claude_agent_sdk import ClaudeSDKClient\nClaudeSDKClient()",
        "from claude_agent_sdk import query as ask\nasync def f():\n    async for m in ask(prompt=''): pass",
        "import claude_agent_sdk as c\nc.query(prompt='')",
        "import anthropic\nanthropic.AsyncAnthropic()",
        "from anthropic import AnthropicBedrock\ndef f(): return AnthropicBedrock()",
        "import anthropic.lib\nanthropic.lib.Anthropic()",
        "from claude_agent_sdk import *",
        "from claude_agent_sdk import ClaudeSDKClient\nclass Mine(ClaudeSDKClient): pass",
    ],
)
def test_the_scan_sees_every_form(code: str) -> None:
    assert clients(ast.parse(code))


def test_the_scan_lets_other_clients_be() -> None:
    assert not clients(
        ast.parse(
            "import httpx\nhttpx.AsyncClient()\nquery(1)\nfrom claude_agent_sdk import HookMatcher\nHookMatcher()"
        )
    )
