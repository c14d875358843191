"""Label to merged pull request on GitHub's wire with the parts that users run: every hop is a real program."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from bot.model.state import State
from tests.flow import outsiders
from tests.flow.answers import claude_steps, sample_files
from tests.flow.house import SECRET, House
from tests.independent import verify_evidence
from tests.independent_notes import notes_in, verify_notes
from tests.simulators.github import GitHubSimulator
from tests.simulators.models import ModelServer, Script

NAMED = "%(trailers:key=Gatewright-Task,valueonly,separator=)%x00%(trailers:key=Audit-Checkpoint,valueonly,separator=)"
PROFILE = dict.fromkeys(("spec", "planning", "coding", "qa", "qa_fixer"), "sonnet")


def tables(github: GitHubSimulator, models: ModelServer) -> dict:
    app = github.table(secrets=(SECRET,))
    return {
        "github": {
            "api_url": app.api_url,
            "web_url": app.web_url,
            "app_id": app.app_id,
            "private_key": app.private_key,
            "webhook_secrets": ["retired", SECRET],
            "write_gap": 0,
        },
        "providers.claude": {"base_url": models.url, "api_key": models.key},
        "profile": PROFILE,
    }


@pytest.mark.timeout(300)
async def test_a_labelled_issue_becomes_a_merged_pull_request(github: GitHubSimulator, folder: Path, claude: None):
    repo = github.repository("pay/core", sample_files())
    github.install(repo)
    mira = github.user("mira", repo, "write")
    tom = github.user("tom", repo, "write")
    stranger = github.user("stranger", repo, "read")
    async with ModelServer(Script(claude_steps())) as models, House(folder, tables(github, models)) as house:
        github.hook(f"{house.url}/webhooks/github", SECRET)
        issue = tom.opens_issue("Retry the payment client with back-off", "Try again. Never charge twice.")
        tom.labels_issue(issue, "gatewright")

        # The spec is shown with its digest and how to answer, and nothing goes on without an answer.
        shown = await house.until(lambda: comment_with(github, repo, "gate.spec"))
        digest = re.search(r"^/approve ([0-9a-f]{12})$", shown.body, re.MULTILINE)
        assert digest, shown.body
        stranger.comments(issue, "/approve")
        await house.until(lambda: comment_with(github, repo, "kind=reply"))
        assert (await house.task()).state is State.SPEC_REVIEW
        approved = mira.comments(issue, "/approve")

        # The plan likewise, by exact digest.
        shown = await house.until(lambda: comment_with(github, repo, "gate.plan"))
        digest = re.search(r"^/approve ([0-9a-f]{12})$", shown.body, re.MULTILINE)
        assert digest, shown.body
        mira.comments(issue, f"/approve {digest[1]}")

        # The agent codes, QA fails once, the fixer mends, QA passes, the pull request is opened.
        async def opened():
            task = await house.task()
            assert task.state is not State.BLOCKED, house.why(task)
            return task if task.pull else None

        task = await house.until(opened, 200)
        pull = repo.issues[task.pull.number]
        assert task.rounds == 2
        assert f"#{issue}" in pull.body or "Closes" in pull.body
        assert "4 of 4" in pull.body
        assert [r.content for c in said(repo) if c.id == approved for r in c.reactions] == ["eyes"]
        progress = [c for c in said(repo) if "kind=progress" in c.body]
        assert len(progress) == 1

        # The branch holds the work and the evidence; independent code verifies it.
        clone = folder / "auditor"
        git("clone", "-q", "-b", task.branch, str(repo.git), str(clone))
        evidence = clone / ".gatewright" / "tasks" / task.origin.task
        assert verify_evidence(evidence) > 50
        assert (clone / "pay" / "backoff.py").is_file()
        unittest(clone)
        trailers = git("-C", str(clone), "log", "--format=%(trailers:key=Gatewright-Task,valueonly)")
        assert task.origin.task in trailers

        # Every commit of the bot names a head of the journal that is signed beside it, as openssl says.
        named = [line.split("\0") for line in git("-C", str(clone), "log", f"--format={NAMED}").splitlines()]
        bots = [checkpoint for whose, checkpoint in named if whose == task.origin.task]
        assert len(bots) > 3
        assert {*bots} <= {*verify_notes(evidence).values()}

        # Review and merge end the task, and the audit ref holds the end.
        mira.reviews(task.pull.number, "APPROVE")
        await house.until(lambda: approved_by_review(house))
        mira.merges(task.pull.number)

        async def archived():
            now = await house.task()
            return now.state is State.DONE and now.origin.task not in await house.index.open_tasks()

        await house.until(archived)
        ref = f"refs/gatewright/audit/{task.origin.task}"
        assert git("-C", str(repo.git), "rev-parse", ref)
        whole = git("-C", str(repo.git), "show", f"{ref}:.gatewright/tasks/{task.origin.task}/audit/0000.jsonl")
        assert '"kind":"task.closed"' in whole
        outsiders.read(repo.git, task.origin.task, house.folder)

        # What the forge was shown stands on the audit ref too, and was taken down as an anchor.
        end = folder / "end"
        git("clone", "-q", "--no-checkout", str(repo.git), str(end))
        git("-C", str(end), "fetch", "-q", "origin", ref)
        git("-C", str(end), "checkout", "-q", "FETCH_HEAD")
        folder_of_task = end / ".gatewright" / "tasks" / task.origin.task
        assert max(verify_notes(folder_of_task)) == len(whole.splitlines())  # nothing after the last note
        kept = {path.read_text() for path in (folder_of_task / "audit" / "checkpoints").iterdir()}
        shown = [note for text in (pull.body, *(comment.body for comment in said(repo))) for note in notes_in(text)]
        assert len(shown) == 3
        assert {*shown} <= kept
        anchors = [json.loads(line)["data"] for line in whole.splitlines() if '"kind":"anchor"' in line]
        assert {anchor["where"] for anchor in anchors} == {"comment", "pull"}
        assert {note.split("\n")[1] for note in shown} == {str(anchor["size"]) for anchor in anchors}

        # No agent ever saw a key, and the model API saw only the gateway.
        assert models.refused == []
        assert all(seen.headers.get("x-api-key") == models.key for seen in models.requests)
        assert models.script.left == 0
        assert models.key not in whole
        calls = [json.loads(line) for line in whole.splitlines() if '"kind":"model.call"' in line]
        assert len(calls) == len(models.requests)


def unittest(clone: Path) -> None:
    """Hold that the project's tests pass."""
    ran = subprocess.run(["python3", "-m", "unittest", "-q"], cwd=clone, capture_output=True, check=False, text=True)
    assert ran.returncode == 0, ran.stderr


def said(repo) -> list:
    """Every comment of a repository."""
    return [comment for issue in list(repo.issues.values()) for comment in list(issue.comments)]


async def comment_with(github: GitHubSimulator, repo, mark: str):
    return next((c for c in said(repo) if mark in c.body), None)


async def approved_by_review(house: House) -> bool:
    task = await house.task()
    return any(approval.gate == "change" for approval in task.approvals)


def git(*words: str) -> str:
    return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout.strip()
