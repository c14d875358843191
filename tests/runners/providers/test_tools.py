"""Where the programs of agent runtimes are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.model.errors import GatewrightError
from runners.providers.tools import CHECKOUT, folder, node, tool


def made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_what_settings_name_comes_first(tmp_path: Path) -> None:
    binary, below = made(tmp_path / "own"), made(tmp_path / "tools" / "a" / "b")
    assert tool(str(tmp_path / "tools"), "a/b", label="B", binary=str(binary)) == binary
    assert tool(str(tmp_path / "tools"), "a/b", label="B") == below


def test_without_settings_the_checkout_has_them() -> None:
    assert folder("") == CHECKOUT / ".tools"
    assert (CHECKOUT / "pyproject.toml").is_file()


def test_a_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folder("~/tools") == tmp_path / "tools"


@pytest.mark.parametrize(("binary", "fix"), [("", "make tools"), ("/nowhere/b", "`binary`")])
def test_what_is_not_there_is_named_with_what_to_do(binary: str, fix: str, tmp_path: Path) -> None:
    with pytest.raises(GatewrightError, match="The B is not installed") as caught:
        tool(str(tmp_path), "a/b", label="The B", binary=binary)
    assert caught.value.code == "GW-MODEL-RUNTIME-MISSING"
    assert (binary or str(tmp_path / "a" / "b")) in caught.value.why
    assert fix in caught.value.fix


def test_node_beside_the_tools_comes_before_the_one_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = made(tmp_path / "path" / "node")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(other.parent))
    assert node(str(tmp_path), label="B") == other
    own = made(tmp_path / "bin" / "node")
    assert node(str(tmp_path), label="B") == own


def test_without_node_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GatewrightError, match="B is not installed") as caught:
        node(str(tmp_path), label="B")
    assert "Node.js 20" in caught.value.fix
