"""Label to merged merge request on a self-hosted GitLab with the parts that users run: every hop is a real program."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.model.state import State
from tests.flow.answers import chat_steps, sample_files
from tests.flow.house import SECRET, House
from tests.flow.test_github import git, unittest
from tests.independent import verify_evidence
from tests.simulators.gitlab import GitLabSimulator
from tests.simulators.models import ModelServer, Script

PROFILE = dict.fromkeys(("spec", "planning", "coding", "qa", "qa_fixer"), "box:any-model")
SIGNING = "whsec_" + base64.b64encode(b"a signing key of this test alone").decode()
APPROVE = re.compile(r"^/gatewright approve ([0-9a-f]{12})$", re.MULTILINE)


@pytest.fixture
async def gitlab(test_data: Path) -> AsyncIterator[GitLabSimulator]:
    """Below a sub-path, its projects in nested groups, every exchange held against what GitLab publishes."""
    async with GitLabSimulator(root="/forge") as simulator:
        yield simulator
        assert simulator.contract_faults(test_data) == []


def tables(gitlab: GitLabSimulator, models: ModelServer, token: str, email: str) -> dict[str, dict[str, Any]]:
    return {
        "gitlab": {
            "url": gitlab.url,
            "token": token,
            "webhook_tokens": ["retired", SECRET],
            "signing_secrets": [SIGNING],
        },
        "endpoints.box": {"base_url": f"{models.url}/v1", "api_key": models.key},
        "profile": PROFILE,
        "worker": {"commit_name": "Gatewright of the bank", "commit_email": email},
    }


@pytest.mark.timeout(300)
async def test_a_labelled_issue_becomes_a_merged_merge_request(
    gitlab: GitLabSimulator, folder: Path, jailed: None
) -> None:
    project = gitlab.project("bank/pay/core", sample_files())
    project.rejects_unknown_authors = True  # the push rule
    mira = gitlab.user("mira", project, "maintainer", on=gitlab.group("bank"))
    tom = gitlab.user("tom", project, "developer")
    reporter = gitlab.user("reporter", project, "reporter")
    bot, token = gitlab.access_token(project)
    async with (
        ModelServer(Script(chat_steps())) as models,
        House(folder, tables(gitlab, models, token.value, bot.user.email)) as house,
    ):
        # A project's and its group's hook both fire: one signs, the other has the older token.
        gitlab.hook(f"{house.url}/webhooks/gitlab", signing=SIGNING, project=project)
        gitlab.hook(f"{house.url}/webhooks/gitlab", token=SECRET, group=gitlab.group("bank"))
        issue = tom.opens_issue("Retry the payment client with back-off", "Try again. Never charge twice.")
        tom.labels_issue(issue, "gatewright")

        # The spec is shown with its digest and the form that works here. GitLab deletes a bare /approve unheard.
        shown = await house.until(lambda: note_with(project, "gate.spec"))
        assert APPROVE.search(shown.body), shown.body
        assert not re.search(r"^/approve", shown.body, re.MULTILINE)
        assert mira.comments(issue, "/approve") is None
        reporter.comments(issue, "/gatewright approve")
        await house.until(lambda: note_with(project, "kind=reply"))
        hidden = mira.comments(issue, "/gatewright revise charge twice", internal=True)
        await house.until(lambda: note_with(project, f"rev={issue}:{hidden}"))
        assert (await house.task()).state is State.SPEC_REVIEW
        approved = mira.comments(issue, "@gatewright approve")

        # The plan, by exact digest. A note that was edited into an approval is none.
        shown = await house.until(lambda: note_with(project, "gate.plan"))
        digest = APPROVE.search(shown.body)
        assert digest, shown.body
        harmless = tom.comments(issue, "looks fine")
        mira.edits_note(harmless, "/gatewright approve")
        await gitlab.settled()
        assert (await house.task()).state is State.PLAN_REVIEW
        mira.comments(issue, f"/gatewright approve {digest[1]}")

        # The agent codes, QA fails once, the fixer mends, QA passes, the merge request is opened.
        async def opened() -> Any:
            task = await house.task()
            assert task.state is not State.BLOCKED, house.why(task)
            return task if task.pull else None

        task = await house.until(opened, 200)
        change = project.merge_requests[task.pull.number]
        assert task.rounds == 2
        assert (change.author.id, change.source) == (bot.id, task.branch)
        assert "4 of 4" in change.description
        assert f"Closes #{issue}" in change.description
        assert [a.name for n in notes(project) if n.id == approved for a in n.awards] == ["eyes"]
        assert len([n for n in notes(project) if "kind=progress" in n.body]) == 1

        # The branch holds the work and the evidence; independent code verifies it.
        clone = folder / "auditor"
        git("clone", "-q", "-b", task.branch, str(project.git), str(clone))
        assert verify_evidence(clone / ".gatewright" / "tasks" / task.origin.task) > 50
        unittest(clone)
        assert git("-C", str(clone), "log", "-1", "--format=%an <%ae>") == f"Gatewright of the bank <{bot.user.email}>"

        # A native approval counts for the head it was given for, and can be taken back.
        await house.until(lambda: status_is(project, task.head, "pending"))
        mira.approves(task.pull.number)
        await house.until(lambda: status_is(project, task.head, "success"))
        mira.unapproves(task.pull.number)
        await house.until(lambda: status_is(project, task.head, "pending"))
        mira.approves(task.pull.number)
        await house.until(lambda: status_is(project, task.head, "success"))
        mira.merges(task.pull.number)

        async def archived() -> bool:
            now = await house.task()
            return now.state is State.DONE and now.origin.task not in await house.index.open_tasks()

        await house.until(archived)
        ref = f"refs/gatewright/audit/{task.origin.task}"
        whole = git("-C", str(project.git), "show", f"{ref}:.gatewright/tasks/{task.origin.task}/audit/0000.jsonl")
        assert '"kind":"task.closed"' in whole

        # Copies of events came to nothing, nothing of ours acted, and no secret is anywhere.
        assert len(await house.index.all_tasks()) == 1
        assert [done for done in gitlab.executed if done.user.id == bot.id] == []
        assert "kind=again" not in "".join(n.body for n in notes(project))
        await gitlab.settled()
        answered = {delivery.status for delivery in gitlab.deliveries}
        assert answered <= {202}, answered
        said = house.said() + whole
        assert not any(secret in said for secret in (token.value, SIGNING, SECRET, models.key))
        assert models.script.left == 0


def notes(project: Any) -> list[Any]:
    """Every note that somebody wrote."""
    subjects = [*project.issues.values(), *project.merge_requests.values()]
    return [note for subject in subjects for note in list(subject.notes) if not note.system]


async def note_with(project: Any, mark: str) -> Any:
    return next((note for note in notes(project) if mark in note.body), None)


async def status_is(project: Any, head: str, state: str) -> bool:
    named = [job for line in project.pipelines for job in line.jobs if job.name == "gatewright/change"]
    newest = max(named, key=lambda job: job.id, default=None)
    return newest is not None and (newest.pipeline.sha, newest.status) == (head, state)
