"""Accounts as a test moves them: what they do on the web page, with the webhooks that follow."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from tests.simulators.gitlab.builds import Actions
from tests.simulators.gitlab.things import Job, MergeRequest, Note, Pipeline, Subject
from tests.simulators.gitlab.world import LEVELS, Group, Project, Token, User

if TYPE_CHECKING:
    from tests.simulators.gitlab.server import GitLabSimulator

Result = TypeVar("Result")
FULL: Final = frozenset({"api", "write_repository"})


@dataclass(frozen=True)
class Person:
    """One account in one project; every verb returns once the deliveries are queued.

    Issues and merge requests count their own numbers: `on_change=True` means merge request `number`.
    """

    gitlab: GitLabSimulator
    user: User
    project: Project

    @property
    def id(self) -> int:
        """Name the account."""
        return self.user.id

    def within(self, project: Project) -> Person:
        """Act in another project."""
        return Person(self.gitlab, self.user, project)

    def is_granted(self, level: str, *, on: Group | None = None) -> Person:
        """Get an access level in the project, or in a group and all that is below it."""

        def grant() -> None:
            (on or self.project).members[self.user.id] = LEVELS[level]
            if on is not None:
                on.joined[self.user.id] = self.gitlab.world.now()

        self._do(grant)
        return self

    def joins(
        self, to: Group | str, *, level: str = "guest", days_ago: float = 0.0, until: date | None = None
    ) -> Group:
        """Become a member of a group, which is made where it is only named: some days ago, and until a day comes."""

        def join() -> Group:
            group = self.gitlab.world.group(to) if isinstance(to, str) else to
            group.members[self.user.id] = LEVELS[level]
            group.joined[self.user.id] = self.gitlab.world.now() - timedelta(days=days_ago)
            if until is not None:
                group.until[self.user.id] = until
            return group

        return self._do(join)

    def is_blocked(self) -> None:
        """Be blocked by an administrator; memberships stay."""
        self._do(lambda: setattr(self.user, "state", "blocked"))

    def leaves(self, group: Group | None = None) -> None:
        """Be no direct member of the project, or of a group, any more."""
        self._do(lambda: (group or self.project).members.pop(self.user.id, None))

    def is_renamed(self, username: str) -> Person:
        """Take another name; the old one becomes free."""
        self._do(lambda: setattr(self.user, "username", username))
        return self

    def changes_visibility(self, visibility: str) -> None:
        """Make the project private, internal or public."""
        self.gitlab.changes_visibility(self.project, visibility)

    def protects(self, rule: str, *, push: int = 0, merge: int = 0, only: Collection[int] = ()) -> None:
        """Protect the branches under a rule: the levels that may (0: no one), and accounts that may all the same."""
        self.gitlab.protect(self.project, rule, push=push, merge=merge, only=only)

    def opens_issue(
        self, title: str, body: str | None = None, *, labels: Collection[str] = (), confidential: bool = False
    ) -> int:
        """Open an issue and return its number."""

        def open_one() -> Subject:
            return self._actions.open_issue(
                self.project, self.user, title, body, list(labels), confidential=confidential
            )

        return self._do(open_one).iid

    def labels_issue(self, number: int, label: str) -> None:
        """Put a label on."""
        self._do(lambda: self._actions.label(self._subject(number), self.user, label))

    def unlabels_issue(self, number: int, label: str) -> None:
        """Take a label off."""
        self._do(lambda: self._actions.unlabel(self._subject(number), self.user, label))

    def imports_issue(self, title: str, *, source: str = "github", labels: Collection[str] = ()) -> int:
        """Import an issue from elsewhere in one's own name."""

        def bring() -> Subject:
            return self._actions.open_issue(self.project, self.user, title, "", list(labels), imported_from=source)

        return self._do(bring).iid

    def transfers_issue(self, number: int, to: Project) -> int:
        """Move an issue to another project and return its number there."""
        return self._do(lambda: self._actions.move_issue(self._subject(number), self.user, to)).iid

    def edits_issue(self, number: int, *, title: str | None = None, body: str | None = None) -> None:
        """Change an issue's title or description."""
        self.edits(number, title=title, body=body)

    def edits(self, number: int, *, title: str | None = None, body: str | None = None, on_change: bool = False) -> None:
        """Change a title or a description."""
        self._do(lambda: self._actions.edit(self._subject(number, on_change), self.user, title, body))

    def locks(self, number: int, *, on_change: bool = False) -> None:
        """Lock the discussion."""
        self._do(lambda: self._actions.set_flag(self._subject(number, on_change), self.user, "locked", True))

    def comments(self, number: int, body: str, *, on_change: bool = False, internal: bool = False) -> int | None:
        """Comment and return the note's id: None where quick actions were all there was."""

        def say() -> Note | object:
            return self._actions.note(self._subject(number, on_change), self.user, body, internal=internal)

        made = self._do(say)
        return made.id if isinstance(made, Note) else None

    def edits_note(self, note: int, body: str) -> None:
        """Change anybody's note; the hook names its author all the same."""
        self._do(lambda: self._actions.edit_note(self._note(note), self.user, body))

    def edits_comment(self, comment: int, body: str) -> None:
        """Change anybody's note."""
        self.edits_note(comment, body)

    def deletes_note(self, note: int) -> None:
        """Delete anybody's note."""
        self._do(lambda: self._actions.delete_note(self._note(note)))

    def awards(self, name: str, *, note: int = 0, number: int = 0, on_change: bool = False) -> int:
        """Give an emoji to a note, or to an issue or merge request."""
        return self._do(
            lambda: self._actions.award(self._note(note) if note else self._subject(number, on_change), self.user, name)
        ).id

    def closes(self, number: int, *, on_change: bool = False) -> None:
        """Close."""
        self._do(lambda: self._actions.set_state(self._subject(number, on_change), self.user, "closed"))

    def reopens(self, number: int, *, on_change: bool = False) -> None:
        """Open again."""
        self._do(lambda: self._actions.set_state(self._subject(number, on_change), self.user, "opened"))

    def opens_change(self, title: str, branch: str, *, base: str = "", body: str = "", draft: bool = False) -> int:
        """Open a merge request and return its number."""
        target, name = base or self.project.default_branch, f"Draft: {title}" if draft else title

        def open_one() -> MergeRequest:
            return self._actions.open_merge_request(self.project, self.user, name, body, branch, target)

        return self._do(open_one).iid

    def approves(self, number: int, *, sha: str | None = None) -> None:
        """Approve a merge request natively."""
        self._do(lambda: self._actions.approve(self._change(number), self.user, sha))

    def unapproves(self, number: int) -> None:
        """Take the approval back."""
        self._do(lambda: self._actions.unapprove(self._change(number), self.user))

    def merges(self, number: int) -> None:
        """Merge."""
        self._do(lambda: self._actions.merge(self._change(number), self.user))

    def commits(self, branch: str, files: Mapping[str, str | bytes], message: str = "Change") -> str:
        """Push a commit with these files to a branch and return its id."""

        def push() -> str:
            before = self.gitlab.hosting.refs(self.project)
            who = f"{self.user.name} <{self.user.email}>"
            sha = self.gitlab.hosting.commit(self.project, branch, files, message, who)
            self._actions.pushed(self.project, self.user, before)
            return sha

        return self._do(push)

    def pushes(
        self, branch: str, files: Mapping[str, str | bytes], message: str = "Change", *, options: Collection[str] = ()
    ) -> str:
        """Commit on top of a branch, or of the default one, and push over HTTP with git; return the commit's id."""
        url = self.gitlab.clone_url(self.project).replace("://", f"://git:{self.makes_token().value}@")
        started = self.gitlab.do(lambda: self.gitlab.hosting.branch(self.project, branch))
        with tempfile.TemporaryDirectory() as place:
            _git("clone", "-q", "--branch", branch if started else self.project.default_branch, url, place)
            for path, content in files.items():
                file = Path(place, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content.encode() if isinstance(content, str) else content)
            who = ("-c", f"user.name={self.user.name}", "-c", f"user.email={self.user.email}")
            _git("-C", place, "add", "-A")
            _git("-C", place, *who, "commit", "-q", "-m", message)
            said = [word for option in options for word in ("-o", option)]
            _git("-C", place, "push", "-q", *said, "origin", f"HEAD:refs/heads/{branch}")
            return _git("-C", place, "rev-parse", "HEAD").strip()

    def branches(self, name: str, *, start: str = "") -> str:
        """Make a branch and return its commit."""

        def make() -> str:
            sha = self.gitlab.hosting.branch(self.project, start or self.project.default_branch)
            assert sha is not None
            before = self.gitlab.hosting.refs(self.project)
            self.gitlab.hosting.set_ref(self.project, f"refs/heads/{name}", sha)
            self._actions.pushed(self.project, self.user, before)
            return sha

        return self._do(make)

    def runs_pipeline(
        self, branch: str, *, jobs: Collection[str] = ("test",), source: str = "push", trace: str = ""
    ) -> Pipeline:
        """Start a pipeline with jobs that run; `finishes` ends them."""

        def start() -> Pipeline:
            sha = self.gitlab.hosting.branch(self.project, branch)
            assert sha is not None
            pipeline = self._actions.new_pipeline(self.project, self.user, sha, branch, source)
            made = [self._actions.add_job(pipeline, self.user, name, trace=trace) for name in jobs]
            for job in made:
                self._actions.move_job(job, "running")
            return pipeline

        return self._do(start)

    def finishes(self, job: Job, state: str = "success") -> None:
        """End a job (success, failed, canceled), and with the last one its pipeline."""
        self._do(lambda: self._actions.move_job(job, state))

    def makes_token(self, scopes: Collection[str] = FULL, *, life: float | None = None) -> Token:
        """Make a personal access token; `life` in seconds."""
        return self._do(lambda: self.gitlab.world.mint(self.user, frozenset(scopes), life=life))

    @property
    def _actions(self) -> Actions:
        return self.gitlab.actions

    def _do(self, act: Callable[[], Result]) -> Result:
        return self.gitlab.do(act)

    def _subject(self, number: int, on_change: bool = False) -> Subject:
        return self._change(number) if on_change else self.project.issues[number]

    def _change(self, number: int) -> MergeRequest:
        return self.project.merge_requests[number]

    def _note(self, wanted: int) -> Note:
        subjects = [*self.project.issues.values(), *self.project.merge_requests.values()]
        return next(note for subject in subjects for note in subject.notes if note.id == wanted)


def _git(*words: str) -> str:
    env = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    env |= {"GIT_TERMINAL_PROMPT": "0", "HOME": os.devnull}
    done = subprocess.run(["git", *words], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"git {words[0]}: {done.stderr}")
    return done.stdout
