from __future__ import annotations

from pathlib import Path

import pytest

from bot.model.errors import UsageError
from bot.settings_file import load

TABLE = """
[teams.pay]
projects = ["pay/*", "gitlab:gitlab.bank.example:7"]
queues = ["pay", "runner.secure-zone"]
models = ["vllm:*"]
qa_rounds = 2
"""


def test_a_team_is_a_table_of_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "gatewright.toml"
    file.write_text(TABLE)
    team = load(file, {}).teams["pay"]
    assert (team.queues, team.qa_rounds, team.turns) == (("pay", "runner.secure-zone"), 2, None)
    assert team.allows("vllm:qwen")
    assert not team.allows("opus")


@pytest.mark.parametrize("line", ["queues = []", 'queues = ["Pay"]', 'queues = ["a b"]', "turns = 0", 'queue = "x"'])
def test_a_team_that_cannot_be_is_refused_when_settings_are_read(tmp_path: Path, line: str) -> None:
    file = tmp_path / "gatewright.toml"
    file.write_text(f"[teams.pay]\nprojects = []\n{line}\n")
    with pytest.raises(UsageError):
        load(file, {})
