"""One house, many repositories: each lays a policy of its own over the server's, so that each attack finds its rule."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.audit.command import verify
from bot.model.task import Gate, State, Task
from tests.flow import brain
from tests.flow.conftest import held_to_contract, open_folder
from tests.flow.house import PATIENCE, SECRET, Base, House
from tests.flow.talk import Talk, chat_tables, git
from tests.independent import oracle
from tests.simulators.github import GitHubSimulator
from tests.simulators.github.people import Person
from tests.simulators.models import ModelServer, Step, Tool

NAMED = re.compile(r"^/(?:gatewright )?approve (?:scope )?([0-9a-f]{12})$", re.MULTILINE)
STATUS = "gatewright/change"
KEEP_TO_IT = "keep to the plan"  # what a person says to a coder who did more
WRITES = {  # what a coder adds whose task's title holds the word
    "outside": ("notes.py", "SECRET = 'nobody asked for this'\n"),
    "pipeline": (".github/workflows/ci.yml", "on: push\njobs: {}\n"),
}


class Rogue(brain.Brain):
    """A model that writes more than its plan names, until somebody says that it must not, or plans to."""

    def answer(self, body: dict[str, Any]) -> Step:
        step = super().answer(body)
        system, asked = (message["content"] for message in body["messages"][:2])
        phase = brain.PHASE.search(system)
        title = brain.NAMED.search(asked)
        if phase and phase[1] == "planning" and "name notes.py" in asked:
            return Step(text=step.text.replace("- Files: `greet.py`", "- Files: `greet.py`, `notes.py`"))
        if phase and title and step.tools and phase[1] == "coding":
            more = [Tool("write", {"path": p, "content": c}) for word, (p, c) in WRITES.items() if word in title[1]]
            return Step(tools=(*step.tools, *more))
        if phase and step.tools and phase[1] == "qa_fixer" and KEEP_TO_IT in asked:
            return Step(tools=(Tool("run", {"command": "rm -rf notes.py .github"}),))
        return step


class Window(Base):
    """A house, and of its tasks those of one repository; issue numbers of others may be the same."""

    def __init__(self, house: Base, repo: int) -> None:  # what is seen was started elsewhere
        self.house, self.repo = house, repo
        self.folder, self.config, self.log, self.url = house.folder, house.config, house.log, house.url
        self.redis, self.shelf, self.index = house.redis, house.shelf, house.index

    def check(self) -> None:
        self.house.check()

    async def tasks(self, issue: int = 0) -> list[Task]:
        return [task for task in await super().tasks(issue) if task.origin.repo.id == self.repo]

    async def look(self, issue: int) -> Task:
        """Have control look around at once, as it does every minute."""
        task = await self.task(issue)
        assert task is not None
        await self.redis.delete(f"gw:looked:{task.origin.task}")
        await self.wake(task)
        return task

    async def run(self, *words: str) -> str:
        """Run the command line beside the house, as its operator would, and return what it prints."""
        before = self.log.stat().st_size
        process = self.start(*words)
        code = await asyncio.to_thread(process.wait, PATIENCE)
        said = self.log.read_bytes()[before:].decode("utf-8", "replace")
        assert code == 0, said
        return said

    async def lines(self, issue: int) -> list[bytes]:
        """The journal, on which the independent oracle finds nothing that policy did not allow."""
        task = await self.task(issue)
        assert task is not None
        lines = list(await self.shelf.journals.lines(task.origin.task))
        assert oracle(lines) == []
        return lines


class Corner(Talk):
    """One repository under its own rules, with lena and otto, who maintain it, besides mira and tom."""

    house: Window

    def __init__(self, github: GitHubSimulator, house: Base, name: str, rules: str = "") -> None:
        super().__init__(github, brain.PROJECT | {".gatewright.toml": policy_file(rules)}, name)
        github.install(self.repo)
        self.lena = github.user("lena", self.repo, "maintain")
        self.otto = github.user("otto", self.repo, "maintain")
        self.house = Window(house, self.repo.id)

    async def answer(self, who: Person, number: int, words: str) -> str:
        """Say something and return what the bot replies."""
        return await self.reply(number, who.comments(number, words))

    async def fallen(self, number: int, why: str, count: int = 1) -> str:
        """Wait for the line that says that approvals fell, and why."""

        async def said() -> Any:
            found = [c for c in self.ours(number, "kind=voided") if why in c.body]
            return found[count - 1].body if len(found) >= count else None

        words: str = await self.house.until(said, what=f"approvals fall on #{number} because {why!r}")
        assert "no longer count" in words
        assert len(words.split("\n\n", maxsplit=1)[0].splitlines()) == 1, "one line says so"
        return words

    async def asked(self, issue: int, gate: Gate, other_than: str = "") -> str:
        """Wait until a gate is asked with another digest than before, and shown with it."""

        async def shown() -> str | None:
            task = await self.house.task(issue)
            found = task.asked(gate) if task else None
            digest = found.digest[:12] if found else ""
            is_shown = any(f"approve {'scope ' * (gate is Gate.SCOPE)}{digest}" in c.body for c in self.ours(issue))
            return digest if digest and digest != other_than and (is_shown or gate is Gate.CHANGE) else None

        digest: str = await self.house.until(shown, what=f"another digest at the {gate} gate of #{issue}")
        return digest

    async def passed(self, issue: int, gate: Gate) -> Task:
        """Wait until a gate is let pass."""

        async def let() -> Task | None:
            task = await self.house.task(issue)
            return task if task and task.let_pass(gate) else None

        task: Task = await self.house.until(let, what=f"the {gate} gate of #{issue} passed")
        return task

    async def blocked(self, issue: int, code: str) -> Task:
        """Wait until the task is blocked for a reason, and the reason stands in the thread."""
        task = await self.state(issue, State.BLOCKED)
        assert task.blocked_code == code
        await self.comment(issue, code)
        return task

    async def status(self, commit: str, wanted: str) -> None:
        """Wait until the change gate shows so on a commit."""

        async def shows() -> bool:
            mine = [s for s in list(self.repo.statuses) if (s.sha, s.context) == (commit, STATUS)]
            return bool(mine) and mine[-1].state == wanted

        await self.house.until(shows, what=f"{wanted} on {commit[:12]}")

    def branches(self) -> list[str]:
        """Every branch that the forge has of ours."""
        names = git("-C", str(self.repo.git), "for-each-ref", "--format=%(refname:short)", "refs/heads").split()
        return [name for name in names if name != "main"]

    async def ended(self, issue: int, *, by: Person | None = None) -> Task:
        """End a task, by a command where one is needed, and hold its evidence against both of our verifiers."""
        if by is not None:
            by.comments(issue, "/cancel")
        task = await self.at_rest(issue)
        await self.house.lines(issue)
        assert oracle(self.archived(task).encode().splitlines()) == []
        blobs = self.house.folder / "data" / "blobs"
        assert verify(self.repo.git, task=task.origin.task, blobs=blobs) == 0
        return task


@dataclass(frozen=True)
class Town:
    """A GitHub, a house and its models."""

    github: GitHubSimulator
    house: House
    models: ModelServer

    def corner(self, name: str, rules: str = "") -> Corner:
        """Make a repository whose policy is the server's, narrowed by these lines."""
        return Corner(self.github, self.house, name, rules)

    def told(self, words: str) -> bool:
        """Tell whether any model was ever given these words."""
        return any(words in str(seen.body) for seen in self.models.requests)


@asynccontextmanager
async def open_town(test_data: Path) -> AsyncIterator[Town]:
    """Start a house whose policy lets the bot merge and names who may break the glass; repositories narrow it."""
    with open_folder() as folder:
        async with held_to_contract(test_data) as github, ModelServer(Rogue().script) as models:
            hall = github.repository("pay/hall")
            people = [f"user:{github.user(name, hall).id}" for name in ("lena", "otto")]
            policy = {
                "policy": {"preset": "team", "merge": "on_approval"},
                "policy.emergency": {"people": people, "review_days": 5},
            }
            async with House(folder, chat_tables(github, models, **policy)) as house:
                github.hook(f"{house.url}/webhooks/github", SECRET)
                yield Town(github, house, models)


def policy_file(rules: str) -> str:
    """Write a `.gatewright.toml`; the bot merges only where its rules say so."""
    merge = "" if "merge =" in rules else 'merge = "never"\n'
    return f"{brain.PROJECT['.gatewright.toml']}\n[policy]\n{merge}{rules}\n"
