"""Accounts as a test moves them: what they do on the web page, with the webhooks that follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from tests.simulators.github.actions import Actions
from tests.simulators.github.clone import push
from tests.simulators.github.rights import Guard, Ruleset, Team
from tests.simulators.github.world import Comment, Issue, Repository, Token, User

if TYPE_CHECKING:
    from tests.simulators.github.server import GitHubSimulator

Result = TypeVar("Result")


@dataclass(frozen=True)
class Person:
    """One account in one repository; every verb returns once the deliveries are queued."""

    github: GitHubSimulator
    user: User
    repo: Repository

    @property
    def id(self) -> int:
        """Name the account."""
        return self.user.id

    def within(self, repo: Repository) -> Person:
        """Act in another repository."""
        return Person(self.github, self.user, repo)

    def is_granted(self, role: str, *, called: str | None = None) -> Person:
        """Get a role; `called` is the name that an organisation gave it."""

        def grant() -> None:
            self.repo.roles[self.user.id] = role
            if called:
                self.repo.custom_roles[self.user.id] = called

        self._do(grant)
        return self

    def is_renamed(self, login: str) -> Person:
        """Take another login; the old one becomes free."""

        def rename() -> None:
            users = self.github.world.users
            users[login.lower()] = users.pop(self.user.login.lower())
            self.user.login = login

        self._do(rename)
        return self

    def opens_issue(self, title: str, body: str | None = None, *, labels: tuple[str, ...] = ()) -> int:
        """Open an issue and return its number."""
        return self._do(lambda: self._actions.open_issue(self.repo, self.user, title, body, list(labels))).number

    def edits_issue(self, number: int, *, title: str | None = None, body: str | None = None) -> None:
        """Change an issue's title or text."""
        self._do(lambda: self._actions.edit(self.repo, self._issue(number), self.user, title, body))

    def labels_issue(self, number: int, label: str, *, via_app: bool = False) -> None:
        """Put a label on; `via_app` where an App does it in the account's name."""
        issue = self._issue(number)
        self._do(lambda: self._actions.label(self.repo, issue, self.user, [label], via_app=via_app))

    def unlabels_issue(self, number: int, label: str) -> None:
        """Take a label off."""
        self._do(lambda: self._actions.unlabel(self.repo, self._issue(number), self.user, label))

    def comments(self, number: int, body: str) -> int:
        """Comment and return the comment's id."""
        return self._do(lambda: self._actions.comment(self.repo, self._issue(number), self.user, body)).id

    def edits_comment(self, comment: int, body: str) -> None:
        """Change anybody's comment."""
        self._do(lambda: self._actions.edit_comment(self.repo, self._comment(comment), self.user, body))

    def deletes_comment(self, comment: int) -> None:
        """Delete anybody's comment."""
        self._do(lambda: self._actions.delete_comment(self.repo, self._comment(comment), self.user))

    def closes(self, number: int) -> None:
        """Close an issue or a pull request."""
        self._do(lambda: self._actions.set_state(self.repo, self._issue(number), self.user, "closed"))

    def reopens(self, number: int) -> None:
        """Open it again."""
        self._do(lambda: self._actions.set_state(self.repo, self._issue(number), self.user, "open"))

    def locks(self, number: int, reason: str | None = None) -> None:
        """Lock the conversation."""
        self._do(lambda: self._actions.lock(self.repo, self._issue(number), self.user, reason))

    def deletes_issue(self, number: int) -> None:
        """Delete an issue."""
        self._do(lambda: self._actions.delete_issue(self.repo, self._issue(number), self.user))

    def transfers_issue(self, number: int, to: Repository) -> int:
        """Move an issue to another repository and return its number there."""

        def transfer() -> int:
            self._actions.transfer(self.repo, self._issue(number), self.user, to)
            return max(to.issues)

        return self._do(transfer)

    def reviews(self, number: int, event: str = "APPROVE", body: str = "") -> int:
        """Review a pull request (APPROVE, REQUEST_CHANGES, COMMENT) and return the review's id."""
        return self._do(lambda: self._actions.review(self.repo, self._issue(number), self.user, event, body)).id

    def merges(self, number: int) -> None:
        """Merge a pull request."""
        self._do(lambda: self._actions.merge(self.repo, self._issue(number), self.user))

    def commits(self, branch: str, files: Mapping[str, str | bytes], message: str = "Change") -> str:
        """Push a commit with these files to a branch and return its id."""

        def push() -> str:
            before = self.github.hosting.refs(self.repo)
            sha = self.github.hosting.commit(self.repo, branch, files, message, self.user)
            self._actions.pushed(self.repo, self.user, before)
            return sha

        return self._do(push)

    def pushes(self, branch: str, files: Mapping[str, str | bytes | None], message: str = "Change") -> str:
        """Push a commit with git itself, over HTTP, with an own token; None deletes a file."""
        url, token = f"{self.github.url}/{self.repo.full_name}.git", self.makes_token().value
        return push(url, token, branch, files, self.user.login, self.user.address, message)

    def branches(self, name: str, *, start: str = "") -> str:
        """Make a branch and return its commit."""

        def make() -> str:
            sha = self.github.hosting.branch(self.repo, start or self.repo.default_branch)
            assert sha is not None
            before = self.github.hosting.refs(self.repo)
            self.github.hosting.set_ref(self.repo, f"refs/heads/{name}", sha)
            self._actions.pushed(self.repo, self.user, before)
            return sha

        return self._do(make)

    def opens_pull(
        self,
        title: str,
        branch: str,
        *,
        base: str = "",
        body: str = "",
        draft: bool = False,
        fork: Repository | None = None,
    ) -> int:
        """Open a pull request, from a branch of the repository or of a fork, and return its number."""
        to = base or self.repo.default_branch
        return self._do(
            lambda: self._actions.open_pull(self.repo, self.user, title, body, branch, to, draft, fork)
        ).number

    def joins(self, team: Team, *, state: str = "active") -> None:
        """Become a member of a team; `pending` is invited."""
        self._do(lambda: team.members.__setitem__(self.user.id, state))

    def leaves(self, team: Team) -> None:
        """Be a member no more."""
        self._do(lambda: team.members.pop(self.user.id))

    def protects(self, branch: str, context: str, **more: Any) -> Guard:
        """Require a status of the App's on a branch, for administrators too; `more` are members of Guard."""
        guard = Guard(**{"checks": {context: self.github.world.app_id}} | more)
        self._do(lambda: self.repo.guards.__setitem__(branch, guard))
        return guard

    def rules(self, branch: str, context: str, **more: Any) -> Ruleset:
        """Do the same by a ruleset that nobody may bypass; `more` are members of Ruleset."""
        world = self.github.world
        ruleset = Ruleset(**{"id": world.next_id(), "branch": branch, "checks": {context: world.app_id}} | more)
        self._do(lambda: self.repo.rulesets.append(ruleset))
        return ruleset

    def changes_visibility(self, to: str) -> None:
        """Make the repository `public`, `internal` or `private`."""

        def change() -> None:
            self.repo.private, self.repo.internal = to != "public", to == "internal"
            self._actions.moved(self.repo, self.user, "publicized" if to == "public" else "privatized")

        self._do(change)

    def renames_repository(self, name: str) -> None:
        """Give the repository another name; the old one redirects until somebody takes it."""
        before = self.repo.name
        self.github.rename(self.repo, name)
        changes = {"repository": {"name": {"from": before}}}
        self._do(lambda: self._actions.moved(self.repo, self.user, "renamed", changes))

    def transfers_repository(self, to: User) -> None:
        """Give the repository to another owner; hooks come along, the installation of the App does not."""

        def transfer() -> None:
            world, repo = self.github.world, self.repo
            before = repo.owner
            world.moved[repo.full_name.lower()] = repo.id
            if installation := world.installation_of(repo):
                installation.repositories.remove(repo)
            repo.owner = to
            changes = {"owner": {"from": {"user": self.github.shapes.user(before)}}}
            self._actions.moved(repo, self.user, "transferred", changes)

        self._do(transfer)

    def makes_token(self, *, life: float | None = None) -> Token:
        """Make a personal token; `life` in seconds."""
        return self._do(lambda: self.github.world.mint(self.user, life=life))

    @property
    def _actions(self) -> Actions:
        return self.github.actions

    def _do(self, act: Callable[[], Result]) -> Result:
        return self.github.do(act)

    def _issue(self, number: int) -> Issue:
        return self.repo.issues[number]

    def _comment(self, wanted: int) -> Comment:
        return next(c for issue in self.repo.issues.values() for c in issue.comments if c.id == wanted)
