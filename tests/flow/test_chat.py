"""The whole way through our own loop: any OpenAI-compatible endpoint, a personal token, forms instead of JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.audit.command import verify
from bot.model.state import State
from tests.flow.answers import chat_steps, sample_files
from tests.flow.house import House
from tests.flow.talk import Talk, chat_tables, git
from tests.independent import verify_evidence
from tests.simulators.github import GitHubSimulator
from tests.simulators.models import ModelServer, Script


@pytest.mark.timeout(180)
async def test_any_chat_endpoint_and_a_personal_token_carry_an_issue_to_a_merged_change(
    github: GitHubSimulator, folder: Path, jailed: None
):
    talk = Talk(github, sample_files())
    robot = github.user("pay-robot", talk.repo, "write")
    token = robot.makes_token().value
    async with (
        ModelServer(Script(chat_steps())) as models,
        House(folder, chat_tables(github, models, token)) as house,
    ):
        talk.enter(house, content_type="form", by_token=True)
        issue = talk.asks("Retry the payment client with back-off", "Try again. Never charge twice.")
        task = await talk.reviewed(issue)

        # QA failed once, the fixer mended, and each of the bot's words was said once, by the token's account.
        assert task.rounds == 2
        pull = talk.repo.issues[task.pull.number]
        assert "4 of 4" in pull.body
        assert {comment.user.login for comment in talk.ours(issue)} == {"pay-robot"}
        talk.once(issue, "kind=progress", "kind=gate.spec", "kind=gate.plan")
        await github.settled()
        assert {delivery.status for delivery in github.deliveries} == {202}
        assert {delivery.hook.content_type for delivery in github.deliveries} == {"form"}

        # The evidence on the branch is whole, for our verifier and for one that shares no code with us.
        clone = folder / "auditor"
        git("clone", "-q", "-b", task.branch, str(talk.repo.git), str(clone))
        verify_evidence(clone / ".gatewright" / "tasks" / task.origin.task)
        assert verify(clone, task=task.origin.task) == 0

        talk.mira.merges(task.pull.number)
        assert (await talk.at_rest(issue)).state is State.DONE
        records = [json.loads(line) for line in talk.archived(task).splitlines()]

        # The endpoint saw the gateway with its own key, each call is on record, and no key is.
        assert (models.refused, models.script.left) == ([], 0)
        assert {seen.headers["authorization"] for seen in models.requests} == {f"Bearer {models.key}"}
        assert {seen.body["model"] for seen in models.requests} == {"any-model"}
        assert len([r for r in records if r["kind"] == "model.call"]) == len(models.requests)
        kept = "".join(p.read_bytes().decode("latin-1") for p in (folder / "data" / "blobs").rglob("*") if p.is_file())
        for secret in (models.key, token):
            assert secret not in talk.archived(task)
            assert secret not in kept
            assert secret not in house.said()
