"""The demo's recorded answers, spoken over the real model wires: the same story for every provider."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bot.terminal.demo import SAMPLE
from tests.simulators.models import Step, Tool

RECORDING = SAMPLE / "demo.json"
FLOW = ("spec:0", "planning:0", "coding:0", "coding:1", "coding:2", "qa:0", "qa_fixer:0", "qa:1")


def recorded() -> dict[str, list[list[dict[str, Any]]]]:
    phases: dict[str, list[list[dict[str, Any]]]] = json.loads(RECORDING.read_text(encoding="utf-8"))["phases"]
    return phases


def claude_steps(*runs: str) -> list[Step]:
    """Say the runs as the Claude runtime's own tools."""
    return [step for run in runs or FLOW for step in _claude_run(run)]


def chat_steps(*runs: str) -> list[Step]:
    """Say the runs as tool calls of our own loop."""
    steps = []
    for run in runs or FLOW:
        phase, _, index = run.partition(":")
        for turn in recorded()[phase][int(index)]:
            tools = tuple(Tool(call["tool"], call["arguments"]) for call in turn.get("calls", []))
            steps.append(Step(text=turn["text"], tools=tools))
    return steps


def _claude_run(run: str) -> list[Step]:
    phase, _, index = run.partition(":")
    steps: list[Step] = []
    known: set[str] = set()
    for turn in recorded()[phase][int(index)]:
        tools = [tool for call in turn.get("calls", []) for tool in _claude_tools(call, known)]
        if not tools and phase == "qa":
            tools = [Tool("StructuredOutput", json.loads(turn["text"]))]
        steps.append(Step(text=turn["text"] if not tools else "", tools=tuple(tools)))
    return steps


def _claude_tools(call: dict[str, Any], known: set[str]) -> list[Tool]:
    """Translate one call; the runtime edits only files that it has read in this session."""
    arguments = call["arguments"]
    path = "/workspace/" + arguments.get("path", "").removeprefix("./")
    read = [] if path in known else [Tool("Read", {"file_path": path})]
    is_there = (SAMPLE / "project" / arguments.get("path", "")).is_file()
    match call["tool"]:
        case "read":
            known.add(path)
            return [Tool("Read", {"file_path": path})]
        case "edit":
            known.add(path)
            edit = {"file_path": path, "old_string": arguments["old"], "new_string": arguments["new"]}
            return [*read, Tool("Edit", edit)]
        case "write":
            known.add(path)
            return [*(read if is_there else []), Tool("Write", {"file_path": path, "content": arguments["content"]})]
        case "run":
            return [Tool("Bash", {"command": arguments["command"], "description": "run the tests"})]
        case "search":
            return [Tool("Grep", {"pattern": arguments["pattern"]})]
        case _:
            return [Tool("Glob", {"pattern": "**/*.py"})]


def sample_files() -> dict[str, str]:
    """The sample project, file by file."""
    root: Path = SAMPLE / "project"
    return {str(p.relative_to(root)): p.read_text(encoding="utf-8") for p in sorted(root.rglob("*")) if p.is_file()}
