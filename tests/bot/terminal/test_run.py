"""`gatewright run` on a repository of somebody's, with a model that speaks over a real chat endpoint."""

from __future__ import annotations

import json
import re

import pytest
from redis import Redis

from tests.bot.terminal.machine import WISH, call, git, snapshot, waiting
from tests.bot.terminal.test_brakes import begin
from tests.flow.answers import chat_steps, sample_files


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


async def test_a_brake_holds_a_local_task_until_it_is_resumed(machine, repo, model):
    model.script.extend(chat_steps("spec:0", "planning:0"))
    task, digest = waiting(await call(machine, "run", "--repo", str(repo), WISH))
    asked = len(model.requests)
    paused = await call(machine, "pause", task, "--reason", "not today")
    assert paused.code == 0, paused.err
    assert "not today" in (await call(machine, "tasks", "list")).out
    held = await call(machine, "tasks", "approve", task, digest)
    assert held.code == 3, held.err
    assert "nothing new is started: it is paused, by the operator" in held.err
    assert f"gatewright tasks resume {task}" in held.err
    assert len(model.requests) == asked
    going_on = await call(machine, "tasks", "resume", task)
    assert "the plan waits for approval" in going_on.err, going_on.err
    assert "No brake is pulled" in (await call(machine, "brakes")).out


@pytest.mark.parametrize("verb", [("approve", "0" * 12), ("say", "fix it"), ("retry",), ("cancel",), ("resume",)])
def test_nobody_decides_about_a_task_of_a_forge_on_the_command_line(machine, redis_url, verb):
    machine.settings(server={"data_dir": str(machine.folder / "state")}, redis={"url": redis_url})
    with Redis.from_url(redis_url) as server:
        begin(server, "42-k7f3qd", "github.example", 5)
        before = server.lrange("gw:journal:42-k7f3qd", 0, -1)
        ended = machine.run("tasks", verb[0], "42-k7f3qd", *verb[1:])
        assert ended.code == 1
        assert ended.err.startswith("error[GW-LOCAL-ONLY]: 42-k7f3qd is a task of a forge"), ended.err
        assert "answer in its issue" in ended.err
        assert server.lrange("gw:journal:42-k7f3qd", 0, -1) == before
        assert server.xlen("gw:inbox") == 0


async def test_a_task_can_be_cancelled_and_says_so(machine, repo, model):
    model.script.extend(chat_steps("spec:0"))
    task, _ = waiting(await call(machine, "run", "--repo", str(repo), WISH))
    assert (await call(machine, "tasks", "cancel", task)).code == 0
    again = await call(machine, "tasks", "approve", task, "0" * 12)
    assert again.code == 1
    assert f"error[GW-COMMAND-STATE]: {task} has ended: it is cancelled" in again.err


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
