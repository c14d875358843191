"""A model for a very small project: it has no memory, so it may be asked again after any crash."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.simulators.models import Script, Step, Tool

PROJECT = {
    ".gatewright.toml": '[checks]\nunit = "python3 -m unittest -q"\n',
    "greet.py": 'def greet(name):\n    return f"Hello {name}"\n',
    "tests/__init__.py": "",
    "tests/test_greet.py": (
        "import unittest\n\nfrom greet import greet\n\n\nclass GreetTest(unittest.TestCase):\n"
        '    def test_greets(self):\n        self.assertIn("ada", greet("ada"))\n'
    ),
}
SPEC = """# {title}

The greeting is curt.{said} Afterwards it ends in an exclamation mark.

## Acceptance criteria

- **AC-1**: `greet("ada")` ends in `!`.
"""
PLAN = """# Plan: {title}

One line changes.{said}

## Steps

### 1. End the greeting in an exclamation mark

- Files: `greet.py`
- Criteria: AC-1
- Verify: `python3 -m unittest`

In `greet`.
"""
PATIENT = "sleep 7316.25"  # what an agent runs whose issue asks for it; found among the processes by its odd number
ASKED = re.compile(r"^Title: (.*)$", re.MULTILINE)
NAMED = re.compile(r"^# (?!Plan:)(.*)$", re.MULTILINE)
PHASE = re.compile(r"Your phase: (\w+)")
TRIES = re.compile(r"\btry (\d+)\b")
FEEDBACK = re.compile(r"<feedback id=(\w+)>\n(.*?)\n</feedback id=\1>", re.DOTALL)


class Brain:
    """Answer whatever the small project's phases ask; while `is_tired`, work whose title says `asleep` never ends."""

    def __init__(self) -> None:
        self.is_tired = True

    @property
    def script(self) -> Script:
        """Say it over and over."""
        return Script([self.answer] * 400)

    def answer(self, body: dict[str, Any]) -> Step:
        """Answer one request by what stands in it."""
        system, asked = (message["content"] for message in body["messages"][:2])
        phase = PHASE.search(system)
        assert phase, system
        if body["messages"][-1]["role"] == "tool":
            return Step(text="Done.")
        if phase[1] == "coding" and self.is_tired and "asleep" in _title(asked):
            return Step(tools=(Tool("run", {"command": PATIENT}),))
        return ANSWERS[phase[1]](asked)


def _spec(asked: str) -> Step:
    title = ASKED.search(asked)
    assert title, asked
    return Step(text=SPEC.format(title=title[1], said=_said(asked)))


def _plan(asked: str) -> Step:
    return Step(text=PLAN.format(title=_title(asked), said=_said(asked)))


def _code(asked: str) -> Step:
    return Step(tools=(_write(_title(asked), "first try"),))


def _fix(asked: str) -> Step:
    """Try once more in vain, as often as QA is not content, until somebody says how."""
    tries = [int(number) for number in TRIES.findall(asked)]
    mark = "mended" if "mend it" in _said(asked) else f"try {max(tries, default=1) + 1}"
    return Step(tools=(_write(_title(asked), mark),))


def _write(title: str, mark: str) -> Tool:
    content = f'"""{title}: {mark}."""\n\n\ndef greet(name):\n    return f"Hello {{name}}!"\n'
    return Tool("write", {"path": "greet.py", "content": content})


def _judge(asked: str) -> Step:
    is_met = "hopeless" not in _title(asked) or ": mended." in asked
    tries = [int(number) for number in TRIES.findall(asked)]
    evidence = "`greet.py:5` ends in `!`" if is_met else f"try {max(tries, default=1)} is not enough"
    finding = {"id": "AC-1", "met": "met" if is_met else "not_met", "evidence": evidence}
    return Step(text=json.dumps({"criteria": [finding], "summary": "I looked at greet.py."}))


def _title(asked: str) -> str:
    title = NAMED.search(asked)
    assert title, asked
    return title[1]


def _said(asked: str) -> str:
    return "".join(f" Taken up: {text.strip()}." for _, text in FEEDBACK.findall(asked))


ANSWERS = {"spec": _spec, "planning": _plan, "coding": _code, "qa": _judge, "qa_fixer": _fix}
