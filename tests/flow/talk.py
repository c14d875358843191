"""People and the bot on one simulated repository: what was said, and waiting for the next word."""

from __future__ import annotations

import re
import subprocess
from typing import Any

from bot.inbox import INBOX
from bot.model.state import State, Step
from bot.model.task import Task
from tests.flow.house import PATIENCE, SECRET, Base
from tests.flow.processes import agents
from tests.simulators.github import GitHubSimulator
from tests.simulators.models import ModelServer

PHASES = ("spec", "planning", "coding", "qa", "qa_fixer")
APPROVE = re.compile(r"^/approve ([0-9a-f]{12})$", re.MULTILINE)
LABEL = "gatewright"


def chat_tables(github: GitHubSimulator, models: ModelServer, token: str = "", **more: dict[str, Any]) -> dict:
    """Settings of a house that asks an OpenAI-compatible endpoint of its own."""
    table = github.table(token=token, secrets=(SECRET,))
    login = {"token": token} if token else {"app_id": table.app_id, "private_key": table.private_key}
    return {
        "github": {
            "api_url": table.api_url,
            "web_url": table.web_url,
            "webhook_secrets": [SECRET],
            "write_gap": 0,
            **login,
        },
        "endpoints.box": {"base_url": f"{models.url}/v1", "api_key": models.key},
        "profile": dict.fromkeys(PHASES, "box:any-model"),
        **more,
    }


class Talk:
    """One repository with mira and tom, who may write, and a stranger, who may not."""

    def __init__(self, github: GitHubSimulator, files: dict[str, str], name: str = "pay/core") -> None:
        self.github = github
        self.repo = github.repository(name, files)
        self.mira = github.user("mira", self.repo, "write")
        self.tom = github.user("tom", self.repo, "write")
        self.stranger = github.user("stranger", self.repo, "read")
        self.house: Base

    def enter(self, house: Base, *, content_type: str = "json", by_token: bool = False) -> None:
        """Let deliveries come to this house."""
        self.house = house
        url = f"{house.url}/webhooks/github"
        if by_token:
            self.github.hook(url, SECRET, repo=self.repo, content_type=content_type)
        else:
            self.github.hook(url, SECRET, content_type=content_type)

    def asks(self, title: str, body: str = "Please.") -> int:
        """Open an issue and label it."""
        issue = self.tom.opens_issue(title, body)
        self.tom.labels_issue(issue, LABEL)
        return issue

    def said(self, issue: int, mark: str = "") -> list[Any]:
        """Everything said on an issue or a change that holds a word."""
        return [comment for comment in list(self.repo.issues[issue].comments) if mark in comment.body]

    def ours(self, issue: int, mark: str = "gatewright:1") -> list[Any]:
        """What the bot said there."""
        return [comment for comment in self.said(issue, mark) if "<!-- gatewright:1 " in comment.body]

    async def comment(self, issue: int, mark: str, count: int = 1, seconds: float = PATIENCE) -> Any:
        """Wait for the bot's n-th comment with a word and return it."""

        async def there() -> Any:
            found = self.ours(issue, mark)
            return found[count - 1] if len(found) >= count else None

        return await self.house.until(there, seconds, f"comment {count} with {mark!r} on #{issue}")

    async def gate(self, issue: int, name: str, rev: int = 1, seconds: float = PATIENCE) -> str:
        """Wait for a gate's comment and return the digest that it asks for."""
        shown = await self.comment(issue, f"kind=gate.{name} rev={rev} ", seconds=seconds)
        found = APPROVE.search(shown.body)
        assert found, shown.body
        return found[1]

    async def reply(self, issue: int, comment: int | str) -> str:
        """Wait for the answer to a comment (`id`, or `id#n` for its n-th further command) and return its words."""
        words: str = (await self.comment(issue, f"kind=reply rev={issue}:{comment} ")).body
        return words

    async def seen(self, issue: int, comment: int) -> None:
        """Wait until a comment got its eyes."""

        async def eyes() -> bool:
            return any(r.content == "eyes" for c in self.said(issue) if c.id == comment for r in c.reactions)

        await self.house.until(eyes, what=f"eyes on comment {comment}")

    async def state(self, issue: int, *wanted: State, seconds: float = PATIENCE) -> Task:
        """Wait until the issue's task is in one of these states."""

        async def reached() -> Task | None:
            task = await self.house.task(issue)
            if task is None:
                return None
            if task.state is State.BLOCKED and State.BLOCKED not in wanted:
                raise AssertionError(self.house.why(task))
            return task if task.state in wanted else None

        task: Task = await self.house.until(reached, seconds, f"#{issue} in {[w.value for w in wanted]}")
        return task

    async def running(self, issue: int, step: str, seconds: float = PATIENCE) -> Task:
        """Wait until an attempt at a step runs."""

        async def runs() -> Task | None:
            task = await self.house.task(issue)
            return task if task and task.running and task.running.step.value == step else None

        task: Task = await self.house.until(runs, seconds, f"#{issue} at {step}")
        return task

    async def at_rest(self, issue: int, seconds: float = PATIENCE) -> Task:
        """Wait until an ended task has said all, archived all and freed its issue."""

        async def rests() -> Task | None:
            task = await self.house.task(issue)
            if task is None or not task.state.is_final or task.running:
                return None
            is_open = task.origin.task in await self.house.index.open_tasks()
            return None if is_open else task

        task: Task = await self.house.until(rests, seconds, f"#{issue} at rest")
        return task

    async def working(self, issue: int) -> Task:
        """Pass both gates and wait until an agent codes."""
        await self.gate(issue, "spec")
        self.mira.comments(issue, "/approve")
        await self.gate(issue, "plan")
        before = agents()
        self.mira.comments(issue, "/approve")

        async def busy() -> set[int]:
            return agents() - before

        await self.house.until(busy, what=f"an agent at work on #{issue}")
        task = await self.house.task(issue)
        assert task is not None
        return task

    async def idle(self, seconds: float = 15.0) -> None:
        """Wait until no agent is left."""

        async def gone() -> bool:
            return not agents()

        await self.house.until(gone, seconds, "the end of all agents")

    async def reviewed(self, issue: int, seconds: float = PATIENCE) -> Task:
        """Pass both gates and wait for the change."""
        await self.gate(issue, "spec", seconds=seconds)
        self.mira.comments(issue, "/approve")
        await self.gate(issue, "plan", seconds=seconds)
        self.mira.comments(issue, "/approve")
        return await self.opened(issue, seconds)

    async def opened(self, issue: int, seconds: float = PATIENCE, times: int = 1) -> Task:
        """Wait for a change that is asked about, after so many times that it was published."""

        async def asked() -> Task | None:
            task = await self.house.task(issue)
            assert task is not None
            assert task.state is not State.BLOCKED, self.house.why(task)
            made = sum(a.step is Step.PUBLISH and a.outcome == "ok" for a in task.attempts)
            is_asked = task.state is State.CHANGE_REVIEW and f"status:{task.status_rev}" in task.posted
            return task if is_asked and made == times else None

        task: Task = await self.house.until(asked, seconds, f"a change for #{issue}")
        return task

    async def quiet(self) -> None:
        """Wait until every delivery was made and handled."""
        await self.github.settled()

        async def handled() -> bool:
            return await self.house.redis.xlen(INBOX) == 0

        await self.house.until(handled, what="an empty inbox")

    def archived(self, task: Task) -> str:
        """Read the journal on the audit ref."""
        folder = f"refs/gatewright/audit/{task.origin.task}:.gatewright/tasks/{task.origin.task}/audit"
        names = git("-C", str(self.repo.git), "ls-tree", "--name-only", folder).split()
        return "".join(git("-C", str(self.repo.git), "show", f"{folder}/{n}") for n in names if n.endswith(".jsonl"))

    def pulls(self) -> list[Any]:
        """Every pull request there is."""
        return [issue for issue in list(self.repo.issues.values()) if issue.pull]

    def once(self, issue: int, *marks: str) -> None:
        """Hold that the bot said each of these exactly once."""
        for mark in marks:
            found = self.ours(issue, mark)
            assert len(found) == 1, (mark, [comment.body[:200] for comment in found])


def git(*words: str) -> str:
    return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout.strip()
