"""GitHub's JSON, as its API and webhooks write it."""

from __future__ import annotations

import base64
from collections import Counter
from datetime import datetime
from typing import Any, Final

from tests.simulators.github.world import (
    BASE,
    ROLES,
    CheckRun,
    Comment,
    Hook,
    Installation,
    Issue,
    Label,
    Pull,
    Reaction,
    Repository,
    Review,
    Status,
    User,
    World,
)

Json = dict[str, Any]

REACTIONS: Final = ("+1", "-1", "laugh", "confused", "heart", "hooray", "eyes", "rocket")
USER_URLS: Final = {
    "followers": "/followers",
    "following": "/following{/other_user}",
    "gists": "/gists{/gist_id}",
    "starred": "/starred{/owner}{/repo}",
    "subscriptions": "/subscriptions",
    "organizations": "/orgs",
    "repos": "/repos",
    "events": "/events{/privacy}",
    "received_events": "/received_events",
}
REPO_URLS: Final = {
    "archive": "/{archive_format}{/ref}",
    "assignees": "/assignees{/user}",
    "blobs": "/git/blobs{/sha}",
    "branches": "/branches{/branch}",
    "collaborators": "/collaborators{/collaborator}",
    "comments": "/comments{/number}",
    "commits": "/commits{/sha}",
    "compare": "/compare/{base}...{head}",
    "contents": "/contents/{+path}",
    "contributors": "/contributors",
    "deployments": "/deployments",
    "downloads": "/downloads",
    "events": "/events",
    "forks": "/forks",
    "git_commits": "/git/commits{/sha}",
    "git_refs": "/git/refs{/sha}",
    "git_tags": "/git/tags{/sha}",
    "hooks": "/hooks",
    "issue_comment": "/issues/comments{/number}",
    "issue_events": "/issues/events{/number}",
    "issues": "/issues{/number}",
    "keys": "/keys{/key_id}",
    "labels": "/labels{/name}",
    "languages": "/languages",
    "merges": "/merges",
    "milestones": "/milestones{/number}",
    "notifications": "/notifications{?since,all,participating}",
    "pulls": "/pulls{/number}",
    "releases": "/releases{/id}",
    "stargazers": "/stargazers",
    "statuses": "/statuses/{sha}",
    "subscribers": "/subscribers",
    "subscription": "/subscription",
    "tags": "/tags",
    "teams": "/teams",
    "trees": "/git/trees{/sha}",
}


def when(at: datetime | None) -> str | None:
    """Write a time."""
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")


def node(kind: str, number: int) -> str:
    """Make a node id."""
    return base64.b64encode(f"{kind}{number}".encode()).decode()


class Shapes:
    """Writers of JSON, which know under which URLs this GitHub answers."""

    def __init__(self, world: World, api: str, web: str) -> None:
        self.world = world
        self.api = api
        self.web = web

    def user(self, user: User) -> Json:
        """Write an account as it appears inside other objects."""
        url = f"{self.api}/users/{user.login}"
        return {
            "login": user.login,
            "id": user.id,
            "node_id": node("User", user.id),
            "avatar_url": f"{self.web}/avatars/{user.id}",
            "gravatar_id": "",
            "url": url,
            "html_url": f"{self.web}/{user.login}",
            **{f"{name}_url": url + suffix for name, suffix in USER_URLS.items()},
            "type": user.type,
            "site_admin": False,
        }

    def account(self, user: User) -> Json:
        """Write an account as `GET /users/{login}` does."""
        unset = dict.fromkeys(("name", "company", "location", "email", "hireable", "bio"))
        counts = dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0)
        born = when(self.world.created)
        return self.user(user) | unset | counts | {"blog": "", "created_at": born, "updated_at": born}

    def repository(self, repo: Repository) -> Json:
        """Write a repository as webhooks and pull requests carry it."""
        url, html = f"{self.api}/repos/{repo.full_name}", f"{self.web}/{repo.full_name}"
        issues = sum(issue.state == "open" for issue in repo.issues.values())
        return {
            "id": repo.id,
            "node_id": node("Repository", repo.id),
            "name": repo.name,
            "full_name": repo.full_name,
            "private": repo.private,
            "owner": self.user(repo.owner),
            "html_url": html,
            "description": None,
            "fork": False,
            "url": url,
            **{f"{name}_url": url + suffix for name, suffix in REPO_URLS.items()},
            "clone_url": f"{html}.git",
            "git_url": f"{html}.git".replace("http:", "git:"),
            "ssh_url": f"git@127.0.0.1:{repo.full_name}.git",
            "svn_url": html,
            "mirror_url": None,
            **dict.fromkeys(("created_at", "updated_at", "pushed_at"), when(repo.created)),
            **dict.fromkeys(("size", "stargazers_count", "watchers_count", "forks_count", "forks", "watchers"), 0),
            **dict.fromkeys(("open_issues_count", "open_issues"), issues),
            **dict.fromkeys(("language", "license", "homepage")),
            **dict.fromkeys(("has_issues", "has_projects", "has_downloads", "has_wiki", "allow_forking"), True),
            **dict.fromkeys(("has_pages", "has_discussions", "archived", "disabled", "is_template"), False),
            "web_commit_signoff_required": False,
            "topics": [],
            "visibility": "private" if repo.private else "public",
            "default_branch": repo.default_branch,
            "custom_properties": {},
        }

    def full_repository(self, repo: Repository) -> Json:
        """Write a repository as `GET /repos/{owner}/{repo}` does."""
        return self.repository(repo) | {"network_count": 0, "subscribers_count": 0}

    def permission(self, repo: Repository, user: User) -> Json:
        """Write what an account may do; a custom role is named in `role_name` only."""
        role = repo.role(user)
        named = repo.custom_roles.get(user.id, role)
        rank = ROLES.index(role)
        names = {"pull": 1, "triage": 2, "push": 3, "maintain": 4, "admin": 5}
        permissions = {name: rank >= needed for name, needed in names.items()}
        who = self.user(user) | {"role_name": named, "permissions": permissions}
        return {"permission": BASE.get(role, role), "role_name": named, "user": who}

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

    def association(self, repo: Repository, user: User | None) -> str:
        """Name the hint that payloads carry; it is no role."""
        if user is None or repo.role(user) in {"none", "read"}:
            return "NONE"
        return "OWNER" if user is repo.owner else "COLLABORATOR"

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
            "head": self._end(repo, pull.head, pull.sha),
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

    def app(self) -> Json:
        """Write the App."""
        world = self.world
        return {
            "id": world.app_id,
            "slug": world.app_slug,
            "node_id": node("App", world.app_id),
            "client_id": f"Iv1.{world.app_id}",
            "owner": self.user(world.app_owner),
            "name": world.app_slug,
            "description": None,
            "external_url": self.web,
            "html_url": f"{self.web}/apps/{world.app_slug}",
            "created_at": when(world.created),
            "updated_at": when(world.created),
            "permissions": {"issues": "write", "metadata": "read"},
            "events": ["issues", "issue_comment", "pull_request", "pull_request_review"],
        }

    def installation(self, installation: Installation) -> Json:
        """Write an installation of the App."""
        world = self.world
        return {
            "id": installation.id,
            "account": self.user(installation.account),
            "access_tokens_url": f"{self.api}/app/installations/{installation.id}/access_tokens",
            "repositories_url": f"{self.api}/installation/repositories",
            "html_url": f"{self.web}/settings/installations/{installation.id}",
            "app_id": world.app_id,
            "app_slug": world.app_slug,
            "target_id": installation.account.id,
            "target_type": installation.account.type,
            "repository_selection": "selected",
            "permissions": installation.permissions,
            "events": ["issues", "issue_comment", "pull_request", "pull_request_review"],
            "created_at": when(installation.created),
            "updated_at": when(installation.created),
            "single_file_name": None,
            "suspended_by": None,
            "suspended_at": None,
        }

    def hook(self, repo: Repository, hook: Hook) -> Json:
        """Write a repository's webhook; the secret is never shown."""
        url = f"{self.api}/repos/{repo.full_name}/hooks/{hook.id}"
        return {
            "type": "Repository",
            "id": hook.id,
            "name": "web",
            "active": True,
            "events": list(hook.events),
            "config": {"url": hook.url, "content_type": hook.content_type, "insecure_ssl": "0", "secret": "********"},
            "updated_at": when(repo.created),
            "created_at": when(repo.created),
            "url": url,
            "test_url": f"{url}/test",
            "ping_url": f"{url}/pings",
            "deliveries_url": f"{url}/deliveries",
            "last_response": {"code": None, "status": "unused", "message": None},
        }
