"""`gatewright run` on a repository of somebody's, with a model that speaks over a real chat endpoint."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.bot.terminal.machine import Ended, Machine, git, snapshot
from tests.flow.answers import chat_steps, sample_files
from tests.simulators.models import ModelServer, Script, Step

WISH = "Retry the payment client with back-off"
DIGEST = re.compile(r"tasks approve (\S+) ([0-9a-f]{12})")


@pytest.fixture
async def model() -> AsyncIterator[ModelServer]:
    async with ModelServer(Script()) as server:
        yield server


@pytest.fixture
def repo(machine: Machine, model: ModelServer, jailed: None) -> Path:
    """A repository with an endpoint at hand."""
    machine.settings(
        server={"data_dir": str(machine.folder / "state")},
        endpoints__here={"base_url": f"{model.url}/v1", "api_key": model.key},
        worker={"work_dir": str(machine.folder / "work")},
        profile=dict.fromkeys(("spec", "planning", "coding", "qa", "qa_fixer"), "here:toy"),
    )
    return machine.repository(sample_files())


def asked(model: ModelServer) -> None:
    """Wait until the model was asked something."""
    deadline = time.monotonic() + 60
    while not model.requests and time.monotonic() < deadline:
        time.sleep(0.02)


async def call(machine: Machine, *words: str, **more: str) -> Ended:
    return await asyncio.to_thread(machine.run, *words, env=more)


def waiting(ended: Ended) -> tuple[str, str]:
    """Task and digest out of the hint how to go on."""
    found = DIGEST.search(ended.err)
    assert found, ended.err
    return found[1], found[2]


async def test_the_result_is_a_branch_and_nothing_of_the_persons_is_touched(machine, repo, model):
    model.script.extend(chat_steps())
    (repo / "pay/client.py").write_text("half an idea\n")  # not staged
    (repo / "staged.txt").write_text("staged\n")
    git(repo, "add", "staged.txt")
    (repo / "new.txt").write_text("not known to git\n")
    before = snapshot(repo)
    ended = await call(machine, "run", "--repo", str(repo), "--yes", WISH)
    assert ended.code == 0, ended.err
    assert snapshot(repo) == before
    branch = re.search(r"Branch    (\S+)", ended.err)
    assert branch
    assert "ATTEMPTS = 4" in git(repo, "show", f"{branch[1]}:pay/backoff.py")
    assert "half an idea" not in git(repo, "show", f"{branch[1]}:pay/client.py")
    assert "approved by itself (--yes)" in ended.err
    assert machine.leftovers() == []
    verified = await call(machine, "audit", "verify", str(repo), "--rev", branch[1])
    assert verified.code == 0, verified.out


async def test_without_a_terminal_it_stops_at_each_gate_and_goes_on_when_told(machine, repo, model):
    model.script.extend(chat_steps())
    issue = machine.folder / "issue.md"
    issue.write_text(f"# {WISH}\n\nBe careful with charges.\n")
    ended = await call(machine, "run", "--repo", str(repo), "--issue", str(issue))
    assert ended.code == 3
    assert "error[GW-GATE-NO-TTY]: the spec waits for approval" in ended.err
    assert "- **AC-1**: A refused connection" in ended.err, "what is to be approved is shown"
    assert "Be careful with charges." in json.dumps(model.requests[0].body)
    for gate in ("plan", "change"):
        ended = await call(machine, "tasks", "approve", *waiting(ended))
        assert ended.code == 3, ended.err
        assert f"error[GW-GATE-NO-TTY]: the {gate} waits for approval" in ended.err
    assert "Spec     written by" not in ended.err, "what was told before is not told again"
    ended = await call(machine, "tasks", "approve", *waiting(ended))
    assert ended.code == 0, ended.err
    assert "Branch    gatewright/" in ended.err
    assert model.script.left == 0


async def test_a_digest_given_beforehand_counts_only_if_it_is_the_one_in_force(machine, repo, model):
    model.script.extend(chat_steps("spec:0"))
    ended = await call(machine, "run", "--repo", str(repo), "--approve", "spec=0123456789ab", WISH)
    assert ended.code == 3
    assert "nor --approve with this digest was given" in ended.err


@pytest.mark.parametrize("said", ["spec", "spec=", "spec=abc", "design=0123456789ab"])
async def test_what_names_no_gate_and_digest_is_refused(machine, repo, said):
    ended = await call(machine, "run", "--repo", str(repo), "--approve", said, WISH)
    assert (ended.code, ended.err[:22]) == (2, "error[GW-RUN-APPROVE]:")


async def test_a_stale_digest_approves_nothing(machine, repo, model):
    model.script.extend(chat_steps("spec:0"))
    task, digest = waiting(await call(machine, "run", "--repo", str(repo), WISH))
    ended = await call(machine, "tasks", "approve", task, "f" * 12)
    assert ended.code == 1
    assert "error[GW-APPROVE-STALE]" in ended.err
    assert digest in ended.err


async def test_a_revision_can_be_asked_for_without_a_terminal(machine, repo, model):
    model.script.extend(chat_steps("spec:0", "spec:0"))
    task, first = waiting(await call(machine, "run", "--repo", str(repo), WISH))
    ended = await call(machine, "tasks", "say", task, "revise a 429 is no attempt")
    assert ended.code == 3, ended.err
    assert waiting(ended)[1] != first
    assert "a 429 is no attempt" in json.dumps(model.requests[-1].body)


async def test_a_task_can_be_cancelled_and_says_so(machine, repo, model):
    model.script.extend(chat_steps("spec:0"))
    task, _ = waiting(await call(machine, "run", "--repo", str(repo), WISH))
    assert (await call(machine, "tasks", "cancel", task)).code == 0
    again = await call(machine, "tasks", "approve", task, "0" * 12)
    assert again.code == 1
    assert "Traceback" not in again.err


async def test_a_blocked_task_says_what_why_and_how_to_go_on(machine, repo, model):
    model.script.extend([Step(status=400, body={"error": {"message": "this model is not for you"}}, repeat=0)])
    ended = await call(machine, "run", "--repo", str(repo), WISH)
    assert ended.code == 1
    assert re.search(r"^error\[GW-[A-Z-]+\]: .+\n  why: .+\n  fix: ", ended.err, re.MULTILINE), ended.err
    retry = re.search(r"gatewright tasks retry (\S+)", ended.err)
    assert retry
    shown = await call(machine, "tasks", "show", retry[1])
    assert "blocked" in shown.out
    assert f"gatewright tasks retry {retry[1]}" in shown.out
    model.script = Script(chat_steps("spec:0"))
    ended = await call(machine, "tasks", "retry", retry[1])
    assert ended.code == 3, ended.err
    assert "the spec waits for approval" in ended.err


async def test_ctrl_c_pauses_and_resume_goes_on(machine, repo, model):
    model.script.extend([Step(hang="before")])
    with machine.terminal("run", "--repo", str(repo), WISH) as person:
        await asyncio.to_thread(person.expect, "Task 0-")
        await asyncio.to_thread(asked, model)
        person.type("\x03")
        assert await asyncio.to_thread(person.wait) == 130, person.text
        found = re.search(r"gatewright tasks resume (\S+)", person.text)
        assert found, person.text
    assert machine.leftovers() == []
    model.script = Script(chat_steps())
    with machine.terminal("tasks", "resume", found[1]) as person:
        for gate in ("Spec", "Plan", "Change"):
            await asyncio.to_thread(person.expect, "(a)pprove")
            person.type("a\n")
            await asyncio.to_thread(person.expect, f"{gate:<8} approved by you")
        assert await asyncio.to_thread(person.wait) == 0, person.text


async def test_at_a_terminal_a_draft_can_be_revised_and_edited(machine, repo, model):
    model.script.extend([*chat_steps("spec:0"), *chat_steps("spec:0", "planning:0")])
    editor = machine.folder / "editor.sh"
    editor.write_text('#!/bin/sh\nsed -i "s/^- \\*\\*AC-2\\*\\*: .*/- **AC-2**: The waits grow./" "$1"\n')
    editor.chmod(0o755)
    with machine.terminal("run", "--repo", str(repo), WISH, env={"EDITOR": str(editor)}) as person:

        async def expect(words: str) -> None:
            await asyncio.to_thread(person.expect, words)

        await expect("(r)evise  (e)dit")
        person.type("r\n")
        await expect("what should change?")
        person.type("keep it short\n")
        await expect("sent back by you")
        await expect("(r)evise  (e)dit")
        person.type("e\n")
        await expect("edited by you")
        await expect("AC-2: The waits grow.")
        await expect("(e)dit")
        person.type("a\n")
        await expect("approved by you")
        await expect("(e)dit")
        person.type("\x04")
        assert await asyncio.to_thread(person.wait) == 3
        await expect("the question was left open")
    assert "keep it short" in json.dumps(model.requests[2].body), "the second draft knows of it"


async def test_an_edit_that_does_not_parse_is_not_lost(machine, repo, model):
    model.script.extend(chat_steps("spec:0"))
    editor = machine.folder / "editor.sh"
    editor.write_text('#!/bin/sh\nif grep -q "^Mine" "$1"; then cp "$1" seen.md; else echo "Mine" > "$1"; fi\n')
    editor.chmod(0o755)
    with machine.terminal("run", "--repo", str(repo), WISH, env={"VISUAL": str(editor)}) as person:
        await asyncio.to_thread(person.expect, "(e)dit")
        person.type("e\n")
        await asyncio.to_thread(person.expect, "(e)dit")  # refused, with the line; asked again
        assert "line 1" in person.text
        person.type("e\n")
        await asyncio.to_thread(person.expect, "(e)dit")
        person.type("\x03")
        assert await asyncio.to_thread(person.wait) == 130
    assert (machine.folder / "seen.md").read_text() == "Mine\n"


async def test_two_runs_at_the_same_time_are_told_apart(machine, repo, model):
    model.script.extend([Step(hang="before")])
    with machine.terminal("run", "--repo", str(repo), WISH) as first:
        await asyncio.to_thread(first.expect, "Task 0-")
        second = await call(machine, "run", "--repo", str(repo), "--yes", "Something else")
        assert second.code == 1
        assert "error[GW-LOCAL-BUSY]" in second.err
        listed = await call(machine, "tasks", "list", "--json")
        assert [task["state"] for task in json.loads(listed.out)["tasks"]] == ["spec"], "it can be watched meanwhile"
        first.type("\x03")
        assert await asyncio.to_thread(first.wait) == 130


async def test_tasks_are_listed_and_shown(machine, repo, model):
    model.script.extend(chat_steps("spec:0"))
    task, digest = waiting(await call(machine, "run", "--repo", str(repo), WISH))
    listed = await call(machine, "tasks", "list")
    assert re.search(rf"{task} .*◆ spec review +waits +0m +\S+", listed.out), listed.out
    assert "1 open, 1 wait for people, 0 blocked." in listed.out
    assert [line for line in listed.out.splitlines() if len(line) > 80] == []
    shown = await call(machine, "tasks", "show", task)
    assert "- **AC-1**: A refused connection" in shown.out
    assert f"gatewright tasks approve {task} {digest}" in shown.out
    as_json = json.loads((await call(machine, "tasks", "show", task, "--json")).out)
    assert as_json["schema"] == "gatewright/task/v1"
    assert as_json["task"]["requested"][0]["digest"].startswith(digest)


def test_no_tasks_are_no_error(machine):
    assert "No tasks yet." in machine.run("tasks", "list").out
    assert json.loads(machine.run("tasks", "list", "--json").out) == {"schema": "gatewright/tasks/v1", "tasks": []}
    unknown = machine.run("tasks", "show", "0-abcdef", "--json")
    assert (unknown.code, json.loads(unknown.out)["error"]["code"]) == (1, "GW-TASK-UNKNOWN")
    assert not list(machine.home.rglob("*")), "looking makes nothing"


def test_without_a_model_it_says_what_to_set_and_plays_nothing(machine):
    repo = machine.repository(sample_files())
    ended = machine.run("run", "--repo", str(repo), "--yes", WISH)
    assert ended.code == 2
    assert ended.err.startswith("error[GW-RUN-NO-MODEL]")
    assert "ANTHROPIC_API_KEY" in ended.err
    assert git(repo, "branch", "--list") == "* main\n"


def test_recordings_are_never_played_on_a_real_repository(machine):
    repo = machine.repository(sample_files())
    ended = machine.run("run", "--repo", str(repo), "--yes", "--model", "scripted:demo", WISH)
    assert ended.code == 2
    assert "error[GW-RUN-RECORDED]" in ended.err


def test_a_model_without_its_key_is_refused_before_the_task_is_opened(machine):
    repo = machine.repository(sample_files())
    ended = machine.run("run", "--repo", str(repo), "--yes", "--model", "opus", WISH)
    assert ended.code == 2
    assert "error[GW-MODEL-KEY-MISSING]" in ended.err
    assert "profile.spec = opus" in ended.err


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("nowhere", "GW-LOCAL-REPO"),
        ("folder", "GW-LOCAL-REPO"),
        ("empty", "GW-LOCAL-EMPTY"),
        ("detached", "GW-LOCAL-DETACHED"),
    ],
)
def test_what_work_cannot_start_from_is_named(machine, state, code):
    path = machine.folder / "somewhere"
    if state != "nowhere":
        path.mkdir()
    if state == "empty":
        git(path, "init", "-q", "-b", "main")
    if state == "detached":
        path = machine.repository(sample_files(), "somewhere")
        git(path, "checkout", "-q", "--detach")
    ended = machine.run("run", "--repo", str(path), "--yes", WISH)
    assert ended.code == 2
    assert ended.err.startswith(f"error[{code}]"), ended.err
    assert "fix: " in ended.err


@pytest.mark.parametrize("words", [(), ("   ",), ("a wish", "--issue", "file.md"), ("--issue", "nowhere.md")])
def test_one_wish_has_to_be_said(machine, words):
    ended = machine.run("run", "--repo", ".", *words)
    assert ended.code == 2
    assert ended.err.startswith("error[GW-RUN-")
