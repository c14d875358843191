"""One house, many GitLab projects: each lays a policy of its own over the server's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.audit.command import verify
from bot.inbox import INBOX
from bot.model.task import Gate, State, Step, Task
from tests.flow import brain
from tests.flow.conftest import open_folder
from tests.flow.governed import NAMED, STATUS, Rogue, Window, policy_file
from tests.flow.house import SECRET, House
from tests.flow.talk import LABEL, PHASES, git
from tests.independent import oracle
from tests.simulators.gitlab import GitLabSimulator
from tests.simulators.gitlab.people import Person
from tests.simulators.models import ModelServer


class Yard:
    """One project of the bank with tom, who develops, mira, lena and otto, who maintain, and a reporter."""

    def __init__(self, gitlab: GitLabSimulator, house: House, path: str, rules: str = "") -> None:
        self.gitlab = gitlab
        self.project = gitlab.project(path, brain.PROJECT | {".gatewright.toml": policy_file(rules)})
        self.tom = gitlab.user("tom", self.project, "developer")
        self.reporter = gitlab.user("reporter", self.project, "reporter")
        self.mira, self.lena, self.otto = (
            gitlab.user(name, self.project, "maintainer") for name in ("mira", "lena", "otto")
        )
        self.house = Window(house, self.project.id)

    def asks(self, title: str, body: str = "Please.") -> int:
        """Open an issue and label it."""
        issue = self.tom.opens_issue(title, body)
        self.tom.labels_issue(issue, LABEL)
        return issue

    def ours(self, number: int, mark: str, *, on_change: bool = False) -> list[Any]:
        """What the bot said on an issue or a merge request."""
        place = self.project.merge_requests if on_change else self.project.issues
        ours = [note for note in list(place[number].notes) if "<!-- gatewright:1 " in note.body and note.author.bot]
        return [note for note in ours if mark in note.body]

    async def note(self, number: int, mark: str, *, on_change: bool = False) -> Any:
        """Wait for a word of the bot's."""

        async def there() -> Any:
            found = self.ours(number, mark, on_change=on_change)
            return found[0] if found else None

        return await self.house.until(there, what=f"a note with {mark!r} on {number}")

    async def answer(self, who: Person, number: int, words: str, *, on_change: bool = False) -> str:
        """Say something and return what the bot replies."""
        said = who.comments(number, words, on_change=on_change)
        return (await self.note(number, f"kind=reply rev={number}:{said} ", on_change=on_change)).body

    async def seen(self, number: int, who: Person, words: str) -> None:
        """Say something and wait until it was taken up."""
        said = who.comments(number, words)

        async def eyes() -> bool:
            notes = [note for note in list(self.project.issues[number].notes) if note.id == said]
            return any(award.name == "eyes" for note in notes for award in note.awards)

        await self.house.until(eyes, what=f"eyes on {words!r}")

    async def asked(self, issue: int, gate: Gate, other_than: str = "", rev: int = 1) -> str:
        """Wait until a gate is asked, with another digest than before, and return the digest that is shown."""

        async def shown() -> str | None:
            found = [NAMED.search(note.body) for note in self.ours(issue, f"kind=gate.{gate} rev={rev} ")]
            digest = found[0][1] if found and found[0] else ""
            return digest if digest and digest != other_than else None

        digest: str = await self.house.until(shown, what=f"a digest at the {gate} gate of {issue}")
        return digest

    async def fallen(self, number: int, why: str, *, on_change: bool = False) -> None:
        """Wait for the line that says that approvals fell, and why."""

        async def said() -> bool:
            return any(why in note.body for note in self.ours(number, "kind=voided", on_change=on_change))

        await self.house.until(said, what=f"approvals fall on {number} because {why!r}")

    async def passed(self, issue: int, gate: Gate) -> Task:
        """Wait until a gate is let pass."""

        async def let() -> Task | None:
            task = await self.house.task(issue)
            return task if task and task.let_pass(gate) else None

        task: Task = await self.house.until(let, what=f"the {gate} gate of {issue} passed")
        return task

    async def coded(self, issue: int) -> None:
        """Let spec and plan pass."""
        for gate in (Gate.SPEC, Gate.PLAN):
            self.mira.comments(issue, f"/gatewright approve {await self.asked(issue, gate)}")

    async def opened(self, issue: int, times: int = 1) -> Task:
        """Wait for a merge request that is asked about, after so many times that it was published."""

        async def asked() -> Task | None:
            task = await self.house.task(issue)
            assert task is not None
            assert task.state is not State.BLOCKED, self.house.why(task)
            made = sum(a.step is Step.PUBLISH and a.outcome == "ok" for a in task.attempts)
            is_asked = task.state is State.CHANGE_REVIEW and f"status:{task.status_rev}" in task.posted
            return task if is_asked and made == times else None

        task: Task = await self.house.until(asked, what=f"a merge request for {issue}")
        return task

    async def blocked(self, issue: int, code: str) -> Task:
        """Wait until the task is blocked for a reason, and the reason stands in the thread."""

        async def is_blocked() -> Task | None:
            task = await self.house.task(issue)
            return task if task and task.state is State.BLOCKED and task.blocked_code == code else None

        task: Task = await self.house.until(is_blocked, what=f"{issue} blocked for {code}")
        await self.note(issue, code)
        return task

    async def status(self, commit: str, wanted: str) -> None:
        """Wait until the change gate shows so on a commit."""

        async def shows() -> bool:
            jobs = [job for line in list(self.project.pipelines) for job in line.jobs if line.sha == commit]
            mine = [job for job in jobs if job.name == STATUS]
            return bool(mine) and max(mine, key=lambda job: job.id).status == wanted

        await self.house.until(shows, what=f"{wanted} on {commit[:12]}")

    async def quiet(self) -> None:
        """Wait until every delivery was made and handled."""
        await self.gitlab.settled()

        async def handled() -> bool:
            return await self.house.redis.xlen(INBOX) == 0

        await self.house.until(handled, what="an empty inbox")

    def branches(self) -> list[str]:
        """Every branch that the forge has of ours."""
        names = git("-C", str(self.project.git), "for-each-ref", "--format=%(refname:short)", "refs/heads").split()
        return [name for name in names if name != "main"]

    async def ended(self, issue: int, *, by: Person | None = None) -> Task:
        """End a task, by a command where one is needed, and hold its evidence against both of our verifiers."""
        if by is not None:
            by.comments(issue, "/gatewright cancel")

        async def rests() -> Task | None:
            task = await self.house.task(issue)
            is_over = task is not None and task.state.is_final and not task.running
            is_open = task is not None and task.origin.task in await self.house.index.open_tasks()
            return task if is_over and not is_open else None

        task: Task = await self.house.until(rests, what=f"{issue} at rest")
        assert oracle(await self.house.lines(issue)) == []
        blobs = self.house.folder / "data" / "blobs"
        assert verify(self.project.git, task=task.origin.task, blobs=blobs) == 0
        return task


@dataclass(frozen=True)
class Bank:
    """A GitLab with a group whose token the bot has, a house and its models."""

    gitlab: GitLabSimulator
    house: House
    models: ModelServer
    bot: Person

    def yard(self, name: str, rules: str = "") -> Yard:
        """Make a project whose policy is the server's, narrowed by these lines."""
        return Yard(self.gitlab, self.house, f"bank/{name}", rules)

    def told(self, words: str) -> bool:
        """Tell whether any model was ever given these words."""
        return any(words in str(seen.body) for seen in self.models.requests)


@asynccontextmanager
async def open_bank(test_data: Path) -> AsyncIterator[Bank]:
    """Start a house whose policy lets the bot merge; projects narrow it."""
    with open_folder() as folder:
        async with GitLabSimulator() as gitlab, ModelServer(Rogue().script) as models:
            hall, group = gitlab.project("bank/hall"), gitlab.group("bank")
            bot, token = gitlab.access_token(hall, within=group)
            tables = {
                "gitlab": {"url": gitlab.url, "token": token.value, "webhook_tokens": [SECRET]},
                "endpoints.box": {"base_url": f"{models.url}/v1", "api_key": models.key},
                "profile": dict.fromkeys(PHASES, "box:any-model"),
                "policy": {"preset": "team", "merge": "on_approval"},
            }
            async with House(folder, tables) as house:
                gitlab.hook(f"{house.url}/webhooks/gitlab", token=SECRET, group=group)
                yield Bank(gitlab, house, models, bot)
            # The published samples show awards on notes of issues only; ours are on one of a merge request too.
            assert [fault for fault in gitlab.contract_faults(test_data) if "emoji award" not in fault] == []
