"""The words of the loop."""

from __future__ import annotations

import re
import string
import tomllib
from pathlib import Path

import runners.loop
from runners.loop.prompts import about
from runners.loop.tools import TOOLS

FOLDER = Path(runners.loop.__file__).parent
TEXTS = tomllib.loads((FOLDER / "prompts.toml").read_text())


def test_every_tool_and_every_parameter_is_described_and_nothing_else_is():
    assert set(TEXTS["tools"]) == {kind.name for kind in TOOLS}
    for kind in TOOLS:
        assert set(about(kind.name)) == {"about", *kind.arguments.__struct_fields__}


def test_every_text_is_said_somewhere_with_all_that_it_names():
    source = "\n".join(path.read_text() for path in FOLDER.glob("*.py"))
    for key, text in TEXTS["loop"].items():
        if key in ("denied", "unknown", "cut", "empty"):
            assert f'"{key}"' in source
            continue
        said = re.search(rf'say\(\s*"{key}"(.*?)\)', source, re.DOTALL)
        assert said, key
        for _, field, _, _ in string.Formatter().parse(text):
            assert field is None or f"{field}=" in said[1], (key, field)
