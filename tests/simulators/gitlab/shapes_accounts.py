"""GitLab's JSON for accounts, projects, commits and hooks, as its REST API writes it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.simulators.gitlab.access import covers
from tests.simulators.gitlab.hosting import Commit, Hosting
from tests.simulators.gitlab.things import Label
from tests.simulators.gitlab.world import EVENTS, Group, Hook, Project, User, World

Json = dict[str, Any]


def when(at: datetime | None) -> str | None:
    """Write a time as the API does, to the millisecond."""
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class AccountShapes:
    """Writers of what is not talked about; `web` is the instance's address, below which everything lies."""

    def __init__(self, world: World, hosting: Hosting, web: str) -> None:
        self._world = world
        self._hosting = hosting
        self.web = web

    def user(self, user: User) -> Json:
        """Write an account as lists and authors show it."""
        return {
            "id": user.id,
            "username": user.username,
            "public_email": None,
            "name": user.name,
            "state": user.state,
            "locked": False,
            "avatar_url": f"{self.web}/uploads/-/system/user/avatar/{user.id}/avatar.png",
            "web_url": f"{self.web}/{user.username}",
        }

    def full_user(self, user: User) -> Json:
        """Write an account as `GET /users/:id` does; `bot` is only here."""
        more = {"created_at": when(user.created), "bio": "", "bot": user.bot, "followers": 0, "following": 0}
        return self.user(user) | more

    def me(self, user: User) -> Json:
        """Write one's own account."""
        more = {"email": user.email, "commit_email": user.email, "external": False, "two_factor_enabled": False}
        return self.full_user(user) | more | {"confirmed_at": when(user.created)}

    def member(self, user: User, project: Project) -> Json:
        """Write a member with the highest level; a blocked account keeps its membership."""
        more = {"created_at": when(user.created), "access_level": project.level(user), "expires_at": None}
        return self.user(user) | more | {"membership_state": "active"}

    def group_member(self, user: User, group: Group) -> Json:
        """Write a member of a group, inherited ones included, with the membership of the highest level."""
        where = max(group.line, key=lambda one: one.members.get(user.id, 0))
        until = where.until.get(user.id)
        more = {"created_at": when(where.joined.get(user.id, user.created)), "access_level": group.level(user)}
        more["expires_at"] = until.isoformat() if until else None
        return self.user(user) | more | {"membership_state": "active"}

    def protected_branch(self, project: Project, rule: str) -> Json:
        """Write a rule of protected branches."""
        named = project.admitted.get(rule, (frozenset(), frozenset()))
        push, merge = (
            [self._level(level, None)] * (level > 0 or not users) + [self._level(40, user) for user in sorted(users)]
            for level, users in zip(project.protected[rule], named, strict=True)
        )
        return {
            "id": project.id * 10 + list(project.protected).index(rule),
            "name": rule,
            "push_access_levels": push,
            "merge_access_levels": merge,
            "allow_force_push": False,
            "unprotect_access_levels": [],
            "code_owner_approval_required": False,
            "inherited": False,
        }

    def _level(self, level: int, user: int | None) -> Json:
        said = {0: "No one", 30: "Developers + Maintainers", 40: "Maintainers"}.get(level, "")
        shown: Json = {"id": level * 100 + (user or 0), "access_level": level, "access_level_description": said}
        return shown | {"user_id": user, "group_id": None, "deploy_key_id": None}

    def project(self, project: Project, user: User | None) -> Json:
        """Write a project."""
        group, here = project.group, f"{self.web}/{project.full_path}"
        level = project.level(user) if user else 0
        return {
            "id": project.id,
            "description": None,
            "name": project.path,
            "name_with_namespace": f"{group.full_path.replace('/', ' / ')} / {project.path}",
            "path": project.path,
            "path_with_namespace": project.full_path,
            "created_at": when(project.created),
            "default_branch": project.default_branch,
            "tag_list": [],
            "topics": [],
            "ssh_url_to_repo": f"git@127.0.0.1:{project.full_path}.git",
            "http_url_to_repo": f"{here}.git",
            "web_url": here,
            "visibility": project.visibility,
            "namespace": {
                "id": group.id,
                "name": group.path,
                "path": group.path,
                "kind": "group",
                "full_path": group.full_path,
                "parent_id": group.parent.id if group.parent else None,
                "avatar_url": None,
                "web_url": f"{self.web}/groups/{group.full_path}",
            },
            "archived": False,
            "empty_repo": False,
            "issues_enabled": True,
            "merge_requests_enabled": True,
            "merge_method": "merge",
            "permissions": {
                "project_access": {"access_level": level, "notification_level": 3} if level else None,
                "group_access": None,
            },
        }

    def label(self, project: Project, label: Label) -> Json:
        """Write a label."""
        return {
            "id": label.id,
            "name": label.title,
            "description": label.description,
            "description_html": label.description or "",
            "text_color": "#FFFFFF",
            "color": label.color,
            "subscribed": False,
            "priority": None,
            "is_project_label": True,
        }

    def commit(self, project: Project, commit: Commit) -> Json:
        """Write a commit."""
        return {
            "id": commit.id,
            "short_id": commit.id[:8],
            "created_at": commit.committer[2],
            "parent_ids": list(commit.parents),
            "title": commit.title,
            "message": commit.message,
            "author_name": commit.author[0],
            "author_email": commit.author[1],
            "authored_date": commit.author[2],
            "committer_name": commit.committer[0],
            "committer_email": commit.committer[1],
            "committed_date": commit.committer[2],
            "trailers": {},
            "extended_trailers": {},
            "web_url": f"{self.web}/{project.full_path}/-/commit/{commit.id}",
        }

    def branch(self, project: Project, name: str, sha: str) -> Json:
        """Write a branch."""
        (commit,) = self._hosting.log(project, "-1", sha)
        return {
            "name": name,
            "commit": self.commit(project, commit),
            "merged": False,
            "protected": any(covers(rule, name) for rule in project.protected),
            "developers_can_push": False,
            "developers_can_merge": False,
            "can_push": True,
            "default": name == project.default_branch,
            "web_url": f"{self.web}/{project.full_path}/-/tree/{name}",
        }

    def hook(self, hook: Hook) -> Json:
        """Write a webhook; its secrets are never shown."""
        status = "disabled" if hook.disabled else "executable"
        if hook.disabled_until and hook.disabled_until > self._world.now():
            status = "temporarily_disabled"
        return {
            "id": hook.id,
            "url": hook.url,
            "name": hook.name,
            "description": hook.description,
            "created_at": when(hook.created),
            **{flag: hook.events[flag] for flag in EVENTS},
            "enable_ssl_verification": True,
            "alert_status": status,
            "disabled_until": when(hook.disabled_until),
            "url_variables": [],
            "push_events_branch_filter": None,
            "custom_headers": [],
            **({"project_id": hook.place.id} if isinstance(hook.place, Project) else {}),
        }
