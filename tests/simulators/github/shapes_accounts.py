"""GitHub's JSON for accounts, repositories, the App and hooks."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any, Final

from tests.simulators.github.world import BASE, ROLES, Hook, Installation, Repository, User, World

Json = dict[str, Any]

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


class AccountShapes:
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
            "visibility": "internal" if repo.internal else "private" if repo.private else "public",
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

    def association(self, repo: Repository, user: User | None) -> str:
        """Name the hint that payloads carry; it is no role."""
        if user is None or repo.role(user) in {"none", "read"}:
            return "NONE"
        return "OWNER" if user is repo.owner else "COLLABORATOR"

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
