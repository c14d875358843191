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
from tests.bot.forges.contract import Contract
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
    believes_reviews: bool = False

    def opens_issue(self, title: str, body: str, label: str) -> int:
        return self.who.opens_issue(title, body, labels=(label,))

    def says(self, number: int, body: str) -> int:
        said = self.who.comments(number, body)
        assert said is not None
        return said

    def commits(self, branch: str) -> str:
        return self.who.commits(branch, {"a.txt": "a"})


@dataclass
class OnDisk:
    """The person at this machine."""

    forge: LocalForge
    repo: Repo
    person: Actor = YOU
    believes_reviews: bool = False

    def opens_issue(self, title: str, body: str, label: str) -> int:
        return self.forge.add_issue(self.repo, title, body, label).number

    def says(self, number: int, body: str) -> int:
        return self.forge.say(self.repo, number, body).id

    def commits(self, branch: str) -> str:
        git(self.repo.path, "branch", branch)
        return git(self.repo.path, "rev-parse", branch)


def git(folder: str, *words: str) -> str:
    who = ("-c", "user.name=You", "-c", "user.email=you@example.com")
    done = subprocess.run(["git", *who, "-C", folder, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


class TestGitHub(Contract):
    @pytest.fixture
    def stage(self, github: GitHubSimulator, bot: Callable[..., GitHub]) -> Simulated:
        repo = github.repository("octo/shop", FILES)
        github.install(repo)
        mira = github.user("mira", repo, "write")
        return Simulated(bot(), github.repo(repo), Actor(mira.id, "mira"), mira, believes_reviews=True)


class TestGitLab(Contract):
    @pytest.fixture
    def stage(self, gitlab: GitLabSimulator, gitlab_bot: Callable[..., GitLab]) -> Simulated:
        project = gitlab.project("pay/core/shop", FILES)
        mira = gitlab.user("mira", project, "developer")
        person = Actor(mira.id, "mira", AccountKind.UNKNOWN)
        return Simulated(gitlab_bot(project), gitlab.repo(project), person, mira)


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
