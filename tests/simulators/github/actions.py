"""What accounts do, with the webhooks that follow; the API and the test helpers both come through here."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from typing import Final

from tests.simulators.github.access import Refusal
from tests.simulators.github.hooks import Courier, Delivery
from tests.simulators.github.hosting import ZERO, Hosting
from tests.simulators.github.rights import Entry
from tests.simulators.github.shapes import REACTIONS, Shapes
from tests.simulators.github.shapes_accounts import Json
from tests.simulators.github.world import Comment, Issue, Label, Pull, Reaction, Repository, Review, User, World

PAUSE: Final = timedelta(seconds=10)  # between opening an issue and a person's next act; templates need none
LONGEST_BODY: Final = 65_536
REVIEW_STATES: Final = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}


class Actions:
    """Changes to the world."""

    def __init__(self, world: World, shapes: Shapes, courier: Courier, hosting: Hosting) -> None:
        self._world = world
        self._shapes = shapes
        self._courier = courier
        self._hosting = hosting

    def open_issue(self, repo: Repository, by: User, title: str, body: str | None, labels: list[str]) -> Issue:
        """Open an issue; labels given with it are announced like those added later."""
        issue = self._new_issue(repo, by, title, body)
        if not labels:
            issue.created -= PAUSE
        self._tell_issue(repo, issue, by, "opened")
        self.label(repo, issue, by, labels)
        return issue

    def _new_issue(self, repo: Repository, by: User, title: str, body: str | None, pull: Pull | None = None) -> Issue:
        if not title.strip() or len(title) > 256:
            raise invalid("Issue", "title", "title is empty or too long (maximum is 256 characters)")
        _check_body(body)
        now = self._world.now()
        number = max([0, *repo.issues, *repo.gone]) + 1
        issue = Issue(self._world.next_id(), number, title, body, by, now, now, pull=pull)
        repo.issues[number] = issue
        return issue

    def label(
        self, repo: Repository, issue: Issue, by: User, names: list[str], *, via_app: bool = False
    ) -> list[Delivery]:
        """Put labels on; unknown ones are made, as the API does."""
        sent = []
        for name in names:
            label = repo.label(name) or self.new_label(repo, name)
            if label not in issue.labels:
                issue.labels.append(label)
                self._note(issue, by, "labeled", label.name, via_app=via_app)
                sent += self._tell_label(repo, issue, by, "labeled", label)
        return sent

    def new_label(self, repo: Repository, name: str, color: str = "ededed", description: str | None = None) -> Label:
        """Make a label."""
        label = Label(self._world.next_id(), name, color, description)
        repo.labels.append(label)
        return label

    def unlabel(self, repo: Repository, issue: Issue, by: User, name: str) -> list[Delivery]:
        """Take a label off."""
        label = next((label for label in issue.labels if label.name.lower() == name.lower()), None)
        if label is None:
            raise Refusal(404, "Label does not exist")
        issue.labels.remove(label)
        self._note(issue, by, "unlabeled", label.name)
        return self._tell_label(repo, issue, by, "unlabeled", label)

    def _note(self, issue: Issue, by: User, event: str, label: str = "", *, via_app: bool = False) -> None:
        via_app = via_app or by is self._world.app_bot
        issue.history.append(Entry(self._world.next_id(), event, by, self._world.now(), label, via_app))

    def _tell_label(self, repo: Repository, issue: Issue, by: User, action: str, label: Label) -> list[Delivery]:
        return self._tell_issue(repo, issue, by, action, label=self._shapes.label(repo, label))

    def set_state(self, repo: Repository, issue: Issue, by: User, state: str) -> list[Delivery]:
        """Open or close an issue or a pull request."""
        if state == issue.state:
            return []
        issue.state = state
        issue.closed = self._world.now() if state == "closed" else None
        return self._tell_issue(repo, issue, by, "closed" if state == "closed" else "reopened")

    def edit(self, repo: Repository, issue: Issue, by: User, title: str | None, body: str | None) -> list[Delivery]:
        """Change title or text."""
        changes = {}
        if title is not None and title != issue.title:
            changes["title"], issue.title = {"from": issue.title}, title
        if body is not None and body != issue.body:
            _check_body(body)
            changes["body"], issue.body = {"from": issue.body or ""}, body
        return self._tell_issue(repo, issue, by, "edited", changes=changes) if changes else []

    def lock(self, repo: Repository, issue: Issue, by: User, reason: str | None) -> list[Delivery]:
        """Lock a conversation."""
        issue.locked, issue.lock_reason = True, reason
        return self._tell_issue(repo, issue, by, "locked")

    def delete_issue(self, repo: Repository, issue: Issue, by: User) -> list[Delivery]:
        """Delete an issue."""
        repo.gone[issue.number] = None
        del repo.issues[issue.number]
        return self._tell_issue(repo, issue, by, "deleted")

    def transfer(self, repo: Repository, issue: Issue, by: User, to: Repository) -> list[Delivery]:
        """Move an issue to another repository, where it gets another number."""
        moved = self._new_issue(to, by, issue.title, issue.body)
        moved.created, moved.user, moved.history = issue.created, issue.user, issue.history
        moved.labels = [label for old in issue.labels if (label := to.label(old.name))]
        self._note(moved, by, "transferred")
        moved.comments, issue.comments = issue.comments, []
        for comment in moved.comments:
            comment.issue = moved
        repo.gone[issue.number] = (to, moved.number)
        del repo.issues[issue.number]
        changes = {"new_issue": self._shapes.issue(to, moved), "new_repository": self._shapes.repository(to)}
        return self._tell_issue(repo, issue, by, "transferred", changes=changes)

    def comment(self, repo: Repository, issue: Issue, by: User, body: str) -> Comment:
        """Comment on an issue or pull request."""
        if not body.strip():
            raise invalid("IssueComment", "body", "Body can't be blank")
        _check_body(body)
        if issue.locked and repo.role(by) in {"none", "read", "triage"} and by is not self._world.app_bot:
            raise Refusal(403, "Unable to create comment because issue is locked.")
        now = self._world.now()
        comment = Comment(self._world.next_id(), issue, by, body, now, now)
        issue.comments.append(comment)
        issue.updated = now
        self._tell_comment(repo, comment, by, "created")
        return comment

    def edit_comment(self, repo: Repository, comment: Comment, by: User, body: str) -> list[Delivery]:
        """Change a comment."""
        _check_body(body)
        before, comment.body, comment.updated = comment.body, body, self._world.now()
        return self._tell_comment(repo, comment, by, "edited", changes={"body": {"from": before}})

    def delete_comment(self, repo: Repository, comment: Comment, by: User) -> list[Delivery]:
        """Delete a comment."""
        comment.issue.comments.remove(comment)
        return self._tell_comment(repo, comment, by, "deleted")

    def react(self, reactions: list[Reaction], by: User, content: str) -> tuple[Reaction, bool]:
        """React; the same reaction twice is one. No webhook tells of it."""
        if content not in REACTIONS:
            raise invalid("Reaction", "content", f"{content} is not a reaction")
        for reaction in reactions:
            if reaction.user is by and reaction.content == content:
                return reaction, False
        reactions.append(Reaction(self._world.next_id(), by, content, self._world.now()))
        return reactions[-1], True

    def open_pull(  # noqa: PLR0917 - a pull request has this many parts
        self,
        repo: Repository,
        by: User,
        title: str,
        body: str | None,
        head: str,
        base: str,
        draft: bool,
        fork: Repository | None = None,
    ) -> Issue:
        """Open a pull request between two branches of the repository, or from one of a fork."""
        branch = head.rpartition(":")[2]
        sha = self._hosting.fetch(repo, fork, branch) if fork else self._hosting.branch(repo, branch)
        base_sha = self._hosting.branch(repo, base)
        if sha is None or base_sha is None:
            raise invalid("PullRequest", "base" if sha else "head", "invalid", code="invalid")
        if self._hosting.is_ancestor(repo, sha, base_sha):
            raise invalid("PullRequest", "head", f"No commits between {base} and {branch}")
        same = [issue.pull for issue in repo.issues.values() if issue.pull and issue.state == "open"]
        if any(pull.head == branch and pull.fork is fork for pull in same):
            raise invalid("PullRequest", "head", f"A pull request already exists for {repo.owner.login}:{branch}.")
        issue = self._new_issue(repo, by, title, body, Pull(branch, base, sha, base_sha, draft, fork=fork))
        self._hosting.set_ref(repo, f"refs/pull/{issue.number}/head", sha)
        self._tell_pull(repo, issue, by, "opened")
        return issue

    def merge(self, repo: Repository, issue: Issue, by: User) -> list[Delivery]:
        """Merge a pull request and announce the push that it is."""
        pull = _pull(issue)
        if issue.state != "open":
            raise Refusal(405, "Pull Request is not mergeable")
        before = self._hosting.refs(repo)
        message = f"Merge pull request #{issue.number} from {repo.owner.login}/{pull.head}\n\n{issue.title}"
        try:
            pull.merge_sha = self._hosting.merge(repo, pull.base, pull.sha, message)
        except subprocess.CalledProcessError as error:
            raise Refusal(405, "Pull Request is not mergeable") from error
        pull.merged, pull.merged_by = self._world.now(), by
        issue.state, issue.closed = "closed", pull.merged
        sent = self._tell_pull(repo, issue, by, "closed")
        return sent + self.pushed(repo, by, before)

    def moved(self, repo: Repository, by: User, action: str, changes: Json | None = None) -> list[Delivery]:
        """Tell what became of a repository as a whole."""
        return self._courier.emit(
            repo, "repository", by, {"action": action} | ({"changes": changes} if changes else {})
        )

    def review(self, repo: Repository, issue: Issue, by: User, event: str, body: str) -> Review:
        """Submit a review of the present head; nobody approves their own pull request."""
        pull = _pull(issue)
        if event not in REVIEW_STATES:
            raise Refusal(422, "Unprocessable Entity", [f"{event} is not an event"])
        if by is issue.user and event != "COMMENT":
            raise Refusal(422, "Unprocessable Entity", ["Can not approve your own pull request"])
        review = Review(self._world.next_id(), by, REVIEW_STATES[event], body, pull.sha, self._world.now())
        pull.reviews.append(review)
        shown = self._shapes.review(repo, issue, review) | {"state": review.state.lower(), "body": body or None}
        payload = {"action": "submitted", "review": shown, "pull_request": self._shapes.pull(repo, issue, pull)}
        self._courier.emit(repo, "pull_request_review", by, payload)
        return review

    def pushed(self, repo: Repository, by: User, before: dict[str, str]) -> list[Delivery]:
        """Announce what a push changed, and move the pull requests of the branches."""
        after = self._hosting.refs(repo)
        sent = []
        for ref in sorted(before.keys() | after.keys()):
            old, new = before.get(ref, ZERO), after.get(ref, ZERO)
            if old != new and ref.startswith(("refs/heads/", "refs/tags/")):
                sent += self._tell_push(repo, by, ref, old, new)
                sent += self._move_pulls(repo, by, ref.removeprefix("refs/heads/"), old, new)
        return sent

    def _move_pulls(self, repo: Repository, by: User, branch: str, old: str, new: str) -> list[Delivery]:
        sent = []
        for issue in repo.issues.values():
            if issue.pull and issue.state == "open" and issue.pull.head == branch and issue.pull.fork is None:
                if new == ZERO:
                    sent += self.set_state(repo, issue, by, "closed")
                    continue
                issue.pull.sha, issue.updated = new, self._world.now()
                self._hosting.set_ref(repo, f"refs/pull/{issue.number}/head", new)
                sent += self._tell_pull(repo, issue, by, "synchronize", before=old, after=new)
        return sent

    def _tell_push(self, repo: Repository, by: User, ref: str, old: str, new: str) -> list[Delivery]:
        payload = {
            "ref": ref,
            "before": old,
            "after": new,
            "created": old == ZERO,
            "deleted": new == ZERO,
            "forced": ZERO not in {old, new} and not self._hosting.is_ancestor(repo, old, new),
            "base_ref": None,
            "compare": f"{self._shapes.web}/{repo.full_name}/compare/{old[:12]}...{new[:12]}",
            "commits": [],
            "head_commit": None,
            "pusher": {"name": by.login, "email": by.address},
        }
        return self._courier.emit(repo, "push", by, payload)

    def _tell_issue(self, repo: Repository, issue: Issue, by: User, action: str, **more: Json) -> list[Delivery]:
        issue.updated = self._world.now()
        if issue.pull:
            return self._tell_pull(repo, issue, by, action, **more)
        payload = {"action": action, "issue": self._shapes.issue(repo, issue)} | more
        return self._courier.emit(repo, "issues", by, payload)

    def _tell_pull(self, repo: Repository, issue: Issue, by: User, action: str, **more: Json | str) -> list[Delivery]:
        issue.updated = self._world.now()
        shown = self._shapes.full_pull(repo, issue, _pull(issue))
        payload = {"action": action, "number": issue.number, "pull_request": shown} | more
        return self._courier.emit(repo, "pull_request", by, payload)

    def _tell_comment(self, repo: Repository, comment: Comment, by: User, action: str, **more: Json) -> list[Delivery]:
        issue, shown = self._shapes.issue(repo, comment.issue), self._shapes.comment(repo, comment)
        payload = {"action": action, "issue": issue, "comment": shown} | more
        return self._courier.emit(repo, "issue_comment", by, payload)


def invalid(resource: str, field: str, message: str, code: str = "custom") -> Refusal:
    """Make a 422 as GitHub words it."""
    return Refusal(422, "Validation Failed", [{"resource": resource, "field": field, "code": code, "message": message}])


def _check_body(body: str | None) -> None:
    if body is not None and len(body) > LONGEST_BODY:
        raise invalid("Issue", "body", f"body is too long (maximum is {LONGEST_BODY} characters)")


def _pull(issue: Issue) -> Pull:
    if issue.pull is None:
        raise Refusal(404, "Not Found")
    return issue.pull
