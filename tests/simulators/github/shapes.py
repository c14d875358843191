"""GitHub's JSON for issues, pull requests and what hangs on commits, as its API and webhooks write it."""

from __future__ import annotations

from collections import Counter
from typing import Final

from tests.simulators.github.rights import Entry
from tests.simulators.github.shapes_accounts import AccountShapes, Json, node, when
from tests.simulators.github.world import CheckRun, Comment, Issue, Label, Pull, Reaction, Repository, Review, Status

REACTIONS: Final = ("+1", "-1", "laugh", "confused", "heart", "hooray", "eyes", "rocket")


class Shapes(AccountShapes):
    """All writers."""

    def label(self, repo: Repository, label: Label) -> Json:
        """Write a label."""
        return {
            "id": label.id,
            "node_id": node("Label", label.id),
            "url": f"{self.api}/repos/{repo.full_name}/labels/{label.name}",
            "name": label.name,
            "description": label.description,
            "color": label.color,
            "default": False,
        }

    def rollup(self, url: str, reactions: list[Reaction]) -> Json:
        """Count reactions."""
        counted = Counter(reaction.content for reaction in reactions)
        return {"url": f"{url}/reactions", "total_count": len(reactions)} | {name: counted[name] for name in REACTIONS}

    def reaction(self, reaction: Reaction) -> Json:
        """Write one reaction."""
        return {
            "id": reaction.id,
            "node_id": node("Reaction", reaction.id),
            "user": self.user(reaction.user),
            "content": reaction.content,
            "created_at": when(reaction.created),
        }

    def issue(self, repo: Repository, issue: Issue) -> Json:
        """Write an issue, or the issue side of a pull request."""
        kind = "pull" if issue.pull else "issues"
        url, html = f"{self.api}/repos/{repo.full_name}/issues/{issue.number}", f"{self.web}/{repo.full_name}/{kind}"
        shape = {
            "url": url,
            "repository_url": f"{self.api}/repos/{repo.full_name}",
            "labels_url": f"{url}/labels{{/name}}",
            "comments_url": f"{url}/comments",
            "events_url": f"{url}/events",
            "html_url": f"{html}/{issue.number}",
            "id": issue.id,
            "node_id": node("Issue", issue.id),
            "number": issue.number,
            "title": issue.title,
            "user": self.user(issue.user) if issue.user else None,
            "labels": [self.label(repo, label) for label in issue.labels],
            "state": issue.state,
            "locked": issue.locked,
            "assignee": None,
            "assignees": [],
            "milestone": None,
            "comments": len(issue.comments),
            "created_at": when(issue.created),
            "updated_at": when(issue.updated),
            "closed_at": when(issue.closed),
            "author_association": self.association(repo, issue.user),
            "active_lock_reason": issue.lock_reason,
            "body": issue.body,
            "reactions": self.rollup(url, issue.reactions),
            "timeline_url": f"{url}/timeline",
            "performed_via_github_app": None,
            "state_reason": "completed" if issue.state == "closed" and not issue.pull else None,
        }
        if issue.pull:
            pull = f"{self.api}/repos/{repo.full_name}/pulls/{issue.number}"
            page = f"{html}/{issue.number}"
            urls = {"url": pull, "html_url": page, "diff_url": f"{page}.diff", "patch_url": f"{page}.patch"}
            shape |= {"draft": issue.pull.draft, "pull_request": urls | {"merged_at": when(issue.pull.merged)}}
        return shape

    def entry(self, repo: Repository, entry: Entry) -> Json:
        """Write one line of an issue's history."""
        shape = {
            "id": entry.id,
            "node_id": node("Event", entry.id),
            "url": f"{self.api}/repos/{repo.full_name}/issues/events/{entry.id}",
            "actor": self.user(entry.actor),
            "event": entry.event,
            "commit_id": None,
            "commit_url": None,
            "created_at": when(entry.created),
            "performed_via_github_app": self.app() if entry.via_app else None,
        }
        return shape | ({"label": {"name": entry.label, "color": "ededed"}} if entry.label else {})

    def comment(self, repo: Repository, comment: Comment) -> Json:
        """Write a comment."""
        url = f"{self.api}/repos/{repo.full_name}/issues/comments/{comment.id}"
        kind = "pull" if comment.issue.pull else "issues"
        return {
            "url": url,
            "html_url": f"{self.web}/{repo.full_name}/{kind}/{comment.issue.number}#issuecomment-{comment.id}",
            "issue_url": f"{self.api}/repos/{repo.full_name}/issues/{comment.issue.number}",
            "id": comment.id,
            "node_id": node("IssueComment", comment.id),
            "user": self.user(comment.user) if comment.user else None,
            "created_at": when(comment.created),
            "updated_at": when(comment.updated),
            "author_association": self.association(repo, comment.user),
            "performed_via_github_app": None,
            "body": comment.body,
            "reactions": self.rollup(url, comment.reactions),
        }

    def pull(self, repo: Repository, issue: Issue, pull: Pull) -> Json:
        """Write a pull request as lists and reviews carry it."""
        base = f"{self.api}/repos/{repo.full_name}"
        url, issue_url, html = f"{base}/pulls/{issue.number}", f"{base}/issues/{issue.number}", self._page(repo, issue)
        links = {
            "self": url,
            "html": html,
            "issue": issue_url,
            "comments": f"{issue_url}/comments",
            "review_comments": f"{url}/comments",
            "review_comment": f"{base}/pulls/comments{{/number}}",
            "commits": f"{url}/commits",
            "statuses": f"{base}/statuses/{pull.sha}",
        }
        seen = self.issue(repo, issue)
        kept = ("number", "title", "user", "labels", "state", "locked", "assignee", "assignees", "milestone", "body")
        times = ("created_at", "updated_at", "closed_at", "author_association", "active_lock_reason")
        return {name: seen[name] for name in kept + times} | {
            "url": url,
            "id": issue.id,
            "node_id": node("PullRequest", issue.id),
            "html_url": html,
            "diff_url": f"{html}.diff",
            "patch_url": f"{html}.patch",
            "issue_url": issue_url,
            **{f"{name}_url": link for name, link in links.items() if name not in {"self", "html", "issue"}},
            "merged_at": when(pull.merged),
            "merge_commit_sha": pull.merge_sha,
            "requested_reviewers": [],
            "requested_teams": [],
            "draft": pull.draft,
            "head": self._end(pull.fork or repo, pull.head, pull.sha),
            "base": self._end(repo, pull.base, pull.base_sha),
            "_links": {name: {"href": link} for name, link in links.items()},
            "auto_merge": None,
        }

    def full_pull(self, repo: Repository, issue: Issue, pull: Pull) -> Json:
        """Write a pull request as `GET /pulls/{number}` and its webhooks do."""
        return self.pull(repo, issue, pull) | {
            "merged": pull.merged is not None,
            "mergeable": None if pull.merged else True,
            "rebaseable": None if pull.merged else True,
            "mergeable_state": "unknown" if pull.merged else "clean",
            "merged_by": self.user(pull.merged_by) if pull.merged_by else None,
            "comments": len(issue.comments),
            "review_comments": 0,
            "maintainer_can_modify": False,
            **dict.fromkeys(("commits", "additions", "deletions", "changed_files"), 1),
        }

    def _page(self, repo: Repository, issue: Issue) -> str:
        return f"{self.web}/{repo.full_name}/pull/{issue.number}"

    def _end(self, repo: Repository, branch: str, sha: str) -> Json:
        owner = self.user(repo.owner)
        label = f"{repo.owner.login}:{branch}"
        return {"label": label, "ref": branch, "sha": sha, "user": owner, "repo": self.repository(repo)}

    def review(self, repo: Repository, issue: Issue, review: Review) -> Json:
        """Write a review with its state in upper case, as the API does; webhooks lower it."""
        html = f"{self._page(repo, issue)}#pullrequestreview-{review.id}"
        pull = f"{self.api}/repos/{repo.full_name}/pulls/{issue.number}"
        return {
            "id": review.id,
            "node_id": node("Review", review.id),
            "user": self.user(review.user),
            "body": review.body,
            "state": review.state,
            "html_url": html,
            "pull_request_url": pull,
            "author_association": self.association(repo, review.user),
            "_links": {"html": {"href": html}, "pull_request": {"href": pull}},
            "submitted_at": when(review.submitted),
            "commit_id": review.commit,
        }

    def status(self, repo: Repository, status: Status) -> Json:
        """Write a commit status."""
        return {
            "url": f"{self.api}/repos/{repo.full_name}/statuses/{status.sha}",
            "avatar_url": f"{self.web}/avatars/{status.creator.id}",
            "id": status.id,
            "node_id": node("Status", status.id),
            "state": status.state,
            "description": status.description,
            "target_url": status.target_url,
            "context": status.context,
            "created_at": when(status.created),
            "updated_at": when(status.created),
            "creator": self.user(status.creator),
        }

    def check(self, repo: Repository, check: CheckRun) -> Json:
        """Write a check run."""
        url = f"{self.api}/repos/{repo.full_name}/check-runs/{check.id}"
        asked = check.fields
        done = asked.get("status") == "completed"
        output = {"title": None, "summary": None, "text": None} | asked.get("output", {})
        return {
            "id": check.id,
            "node_id": node("CheckRun", check.id),
            "head_sha": check.sha,
            "name": asked["name"],
            "url": url,
            "html_url": f"{self.web}/{repo.full_name}/runs/{check.id}",
            "details_url": asked.get("details_url"),
            "external_id": asked.get("external_id", ""),
            "status": asked.get("status", "queued"),
            "conclusion": asked.get("conclusion"),
            "started_at": when(check.created),
            "completed_at": when(check.created) if done else None,
            "check_suite": {"id": check.id},
            "output": output | {"annotations_count": 0, "annotations_url": f"{url}/annotations"},
            "app": self.app(),
            "pull_requests": [],
        }
