"""The one contract, for GitHub, GitLab and the local forge alike."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.forges.github import GitHub
from bot.forges.gitlab import GitLab
from bot.forges.local import YOU, LocalForge, local_repo
from bot.forges.protocol import Forge
from bot.model.event import AccountKind, Actor, Repo
from tests.bot.forges.contract import Contract, Governance
from tests.simulators.github import GitHubSimulator
from tests.simulators.github.people import Person as GitHubPerson
from tests.simulators.gitlab import GitLabSimulator
from tests.simulators.gitlab.people import Person as GitLabPerson

FILES = {"README.md": "# Shop\n"}


@dataclass
class Simulated:
    """A person on a simulated forge."""

    forge: Forge
    repo: Repo
    person: Actor
    who: GitHubPerson | GitLabPerson

    def opens_issue(self, title: str, body: str, label: str) -> int:
        return self.who.opens_issue(title, body, labels=(label,))

    def says(self, number: int, body: str) -> int:
        said = self.who.comments(number, body)
        assert said is not None
        return said

    def commits(self, branch: str, path: str = "a.txt") -> str:
        return self.who.commits(branch, {path: "a"})


@dataclass(kw_only=True)
class OnGitHub(Simulated):
    """The same with teams, protection and an owner."""

    owner: GitHubPerson
    holds_any_status: bool = False

    def labels(self, number: int, label: str) -> None:
        self.who.labels_issue(number, label)

    def unlabels(self, number: int, label: str) -> None:
        self.who.unlabels_issue(number, label)

    def moves_in(self) -> int:
        elsewhere = self.owner.within(self.who.github.repository("octo/elsewhere"))
        return elsewhere.transfers_issue(elsewhere.opens_issue("from elsewhere"), self.who.repo)

    def edits_issue(self, number: int, title: str) -> None:
        self.who.edits_issue(number, title=title)

    def joins(self) -> tuple[str, str]:
        team = self.who.github.team("octo/leads")
        self.who.joins(team)
        return str(team.id), team.path

    def leaves(self) -> None:
        self.who.leaves(self.who.github.team("octo/leads"))

    def is_renamed(self, login: str) -> None:
        self.who.is_renamed(login)

    def publishes(self) -> None:
        self.owner.changes_visibility("public")

    def protects(self, branch: str, context: str) -> None:
        self.owner.protects(branch, context)

    def released(self) -> list[str]:
        return [sent.payload["commit"] for sent in self.who.repo.dispatches]


@dataclass(kw_only=True)
class OnGitLab(Simulated):
    """The same with groups, protected branches and an owner; the bot's account has to see a group to ask for it."""

    who: GitLabPerson
    bot: GitLabPerson
    holds_any_status: bool = True

    def labels(self, number: int, label: str) -> None:
        self.who.labels_issue(number, label)

    def unlabels(self, number: int, label: str) -> None:
        self.who.unlabels_issue(number, label)

    def moves_in(self) -> int:
        elsewhere = self.who.within(self.who.gitlab.project("pay/elsewhere"))
        return elsewhere.transfers_issue(elsewhere.opens_issue("from elsewhere"), self.who.project)

    def edits_issue(self, number: int, title: str) -> None:
        self.who.edits_issue(number, title=title)

    def joins(self) -> tuple[str, str]:
        group = self.who.joins("octo/leads")
        self.bot.joins(group)
        return str(group.id), group.full_path

    def leaves(self) -> None:
        self.who.leaves(self.who.gitlab.group("octo/leads"))

    def is_renamed(self, login: str) -> None:
        self.who.is_renamed(login)

    def publishes(self) -> None:
        self.who.changes_visibility("public")

    def protects(self, branch: str, context: str) -> None:
        self.who.protects(branch, only=[self.bot.id])

    def released(self) -> list[str]:
        return [pipeline.sha for pipeline in self.who.project.pipelines if pipeline.source == "api"]


@dataclass
class OnDisk:
    """The person at this machine."""

    forge: LocalForge
    repo: Repo
    person: Actor = YOU

    def opens_issue(self, title: str, body: str, label: str) -> int:
        return self.forge.add_issue(self.repo, title, body, label).number

    def says(self, number: int, body: str) -> int:
        return self.forge.say(self.repo, number, body).id

    def commits(self, branch: str, path: str = "a.txt") -> str:
        folder = self.repo.path
        known = git(folder, "branch", "--list", branch)
        git(folder, "switch", "-q", *((branch,) if known else ("-c", branch)))
        (Path(folder) / path).write_text("a")
        git(folder, "add", path)
        git(folder, "commit", "-q", "-m", "Change")
        git(folder, "switch", "-q", "main")
        return git(folder, "rev-parse", branch)


def git(folder: str, *words: str) -> str:
    who = ("-c", "user.name=You", "-c", "user.email=you@example.com")
    done = subprocess.run(["git", *who, "-C", folder, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


class TestGitHub(Contract, Governance):
    @pytest.fixture
    def stage(self, github: GitHubSimulator, bot: Callable[..., GitHub]) -> OnGitHub:
        repo = github.repository("octo/shop", FILES)
        github.install(repo)
        mira = github.user("mira", repo, "write")
        person, owner = Actor(mira.id, "mira"), github.user("octo", repo)
        return OnGitHub(bot(), github.repo(repo), person, mira, owner=owner)


class TestGitLab(Contract, Governance):
    @pytest.fixture
    async def stage(self, gitlab: GitLabSimulator, gitlab_bot: Callable[..., GitLab]) -> OnGitLab:
        project = gitlab.project("pay/core/shop", FILES | {".gitlab-ci.yml": "test:\n  script: make test\n"})
        mira = gitlab.user("mira", project, "developer")
        person = Actor(mira.id, "mira", AccountKind.UNKNOWN)
        forge = gitlab_bot(project, level="maintainer")  # as `main` is protected, so that it may merge
        bot = GitLabPerson(gitlab, gitlab.world.users[(await forge.me()).id], project)
        return OnGitLab(forge, gitlab.repo(project), person, who=mira, bot=bot)


class TestLocal(Contract):
    @pytest.fixture
    def stage(self, tmp_path: Path) -> OnDisk:
        folder = tmp_path / "shop"
        folder.mkdir()
        (folder / "README.md").write_text(FILES["README.md"])
        git(str(folder), "init", "-q", "-b", "main")
        git(str(folder), "add", ".")
        git(str(folder), "commit", "-q", "-m", "Begin")
        return OnDisk(LocalForge(tmp_path / "state"), local_repo(folder))
