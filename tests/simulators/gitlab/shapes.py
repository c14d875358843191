"""GitLab's JSON as its REST API writes it."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any, Final

from tests.simulators.gitlab.hosting import Commit, Hosting
from tests.simulators.gitlab.world import (
    EVENTS,
    Award,
    Hook,
    Job,
    Label,
    MergeRequest,
    Note,
    Pipeline,
    Project,
    Subject,
    User,
    World,
)

Json = dict[str, Any]
STATS: Final = {
    "time_estimate": 0,
    "total_time_spent": 0,
    "human_time_estimate": None,
    "human_total_time_spent": None,
}


def when(at: datetime | None) -> str | None:
    """Write a time as the API does, to the millisecond."""
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Shapes:
    """All writers; `web` is the instance's address, below which everything lies."""

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

    def _subject(self, subject: Subject) -> Json:
        votes = Counter(award.name for award in subject.awards)
        mark = "#" if subject.kind == "Issue" else "!"
        return {
            "id": subject.id,
            "iid": subject.iid,
            "project_id": subject.project.id,
            "title": subject.title,
            "description": subject.description,
            "state": subject.state,
            "created_at": when(subject.created),
            "updated_at": when(subject.updated),
            "closed_at": when(subject.closed),
            "closed_by": self.user(subject.closed_by) if subject.closed_by else None,
            "labels": sorted(label.title for label in subject.labels),
            "milestone": None,
            "assignees": [],
            "assignee": None,
            "author": self.user(subject.author),
            "user_notes_count": sum(not note.system for note in subject.notes),
            "upvotes": votes["thumbsup"],
            "downvotes": votes["thumbsdown"],
            "discussion_locked": subject.locked or None,
            "web_url": self.page(subject),
            "time_stats": STATS,
            "task_completion_status": {"count": 0, "completed_count": 0},
            "references": {
                "short": f"{mark}{subject.iid}",
                "relative": f"{mark}{subject.iid}",
                "full": f"{subject.project.full_path}{mark}{subject.iid}",
            },
            "imported": False,
            "imported_from": "none",
        }

    def page(self, subject: Subject) -> str:
        """Write the address people open."""
        return f"{self.web}/{subject.project.full_path}/-/{subject.folder}/{subject.iid}"

    def issue(self, issue: Subject) -> Json:
        """Write an issue."""
        more = {"type": "ISSUE", "issue_type": "issue", "confidential": issue.confidential, "severity": "UNKNOWN"}
        return self._subject(issue) | more | {"moved_to_id": None, "has_tasks": False, "merge_requests_count": 0}

    def merge_request(self, mr: MergeRequest) -> Json:
        """Write a merge request as lists do."""
        return self._subject(mr) | {
            "merged_by": self.user(mr.merged_by) if mr.merged_by else None,
            "merge_user": self.user(mr.merged_by) if mr.merged_by else None,
            "merged_at": when(mr.merged),
            "target_branch": mr.target,
            "source_branch": mr.source,
            "reviewers": [],
            "source_project_id": mr.project.id,
            "target_project_id": mr.project.id,
            "draft": mr.draft,
            "work_in_progress": mr.draft,
            "merge_when_pipeline_succeeds": False,
            "merge_status": "can_be_merged",
            "detailed_merge_status": "draft_status" if mr.draft else "mergeable",
            "sha": mr.sha,
            "merge_commit_sha": mr.merge_sha,
            "squash_commit_sha": None,
            "should_remove_source_branch": None,
            "force_remove_source_branch": mr.removes_source,
            "squash": False,
            "has_conflicts": False,
            "blocking_discussions_resolved": True,
        }

    def full_merge_request(self, mr: MergeRequest) -> Json:
        """Write a merge request as `GET .../merge_requests/:iid` does."""
        runs = [p for p in mr.project.pipelines if p.sha == mr.sha]
        return self.merge_request(mr) | {
            "subscribed": False,
            "changes_count": "1",
            "head_pipeline": self.pipeline(runs[-1]) if runs else None,
            "diff_refs": {"base_sha": mr.base_sha, "head_sha": mr.sha, "start_sha": mr.base_sha},
            "merge_error": None,
            "first_contribution": False,
            "user": {"can_merge": True},
        }

    def approvals(self, mr: MergeRequest, user: User) -> Json:
        """Write who has approved; GitLab does not say which commit was approved."""
        has = any(by is user for by, _ in mr.approvals)
        listed = [{"user": self.user(by), "approved_at": when(at)} for by, at in mr.approvals]
        can = not has and mr.project.level(user) >= 30  # developers
        approved = bool(listed) if not mr.project.approvals_required else len(listed) >= mr.project.approvals_required
        return {"user_has_approved": has, "user_can_approve": can, "approved": approved, "approved_by": listed}

    def note(self, note: Note) -> Json:
        """Write a note."""
        return {
            "id": note.id,
            "type": None,
            "body": note.body,
            "author": self.user(note.author),
            "created_at": when(note.created),
            "updated_at": when(note.updated),
            "system": note.system,
            "noteable_id": note.subject.id,
            "noteable_type": note.subject.kind,
            "project_id": note.subject.project.id,
            "resolvable": False,
            "confidential": note.internal,
            "internal": note.internal,
            "imported": False,
            "imported_from": "none",
            "noteable_iid": note.subject.iid,
            "commands_changes": {},
        }

    def discussion(self, notes: list[Note]) -> Json:
        """Write a discussion."""
        shown = [self.note(note) for note in notes]
        return {"id": notes[0].discussion, "individual_note": len(notes) == 1, "notes": shown}

    def award(self, award: Award, awardable: Subject | Note) -> Json:
        """Write an award emoji."""
        return {
            "id": award.id,
            "name": award.name,
            "user": self.user(award.user),
            "created_at": when(award.created),
            "updated_at": when(award.created),
            "awardable_id": awardable.id,
            "awardable_type": "Note" if isinstance(awardable, Note) else awardable.kind,
            "url": None,
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
            "protected": name in project.protected,
            "developers_can_push": False,
            "developers_can_merge": False,
            "can_push": True,
            "default": name == project.default_branch,
            "web_url": f"{self.web}/{project.full_path}/-/tree/{name}",
        }

    def status(self, job: Job) -> Json:
        """Write a commit status."""
        return {
            "id": job.id,
            "sha": job.pipeline.sha,
            "ref": job.pipeline.ref,
            "status": job.status,
            "name": job.name,
            "target_url": job.target_url,
            "description": job.description,
            "created_at": when(job.created),
            "started_at": when(job.started),
            "finished_at": when(job.finished),
            "allow_failure": job.allow_failure,
            "coverage": None,
            "pipeline_id": job.pipeline.id,
            "author": self.user(job.user),
        }

    def pipeline(self, pipeline: Pipeline) -> Json:
        """Write a pipeline."""
        return {
            "id": pipeline.id,
            "iid": pipeline.iid,
            "project_id": pipeline.project.id,
            "sha": pipeline.sha,
            "ref": pipeline.ref,
            "status": pipeline.status,
            "source": pipeline.source,
            "created_at": when(pipeline.created),
            "updated_at": when(pipeline.updated),
            "web_url": f"{self.web}/{pipeline.project.full_path}/-/pipelines/{pipeline.id}",
        }

    def job(self, job: Job) -> Json:
        """Write a job."""
        (commit,) = self._hosting.log(job.pipeline.project, "-1", job.pipeline.sha)
        return {
            "id": job.id,
            "status": job.status,
            "stage": job.stage,
            "name": job.name,
            "ref": job.pipeline.ref,
            "tag": False,
            "coverage": None,
            "allow_failure": job.allow_failure,
            "created_at": when(job.created),
            "started_at": when(job.started),
            "finished_at": when(job.finished),
            "erased_at": None,
            "duration": 1.0 if job.finished else None,
            "queued_duration": 0.1,
            "user": self.full_user(job.user),
            "commit": self.commit(job.pipeline.project, commit),
            "pipeline": self.pipeline(job.pipeline),
            "failure_reason": "script_failure" if job.status == "failed" else None,
            "web_url": f"{self.web}/{job.pipeline.project.full_path}/-/jobs/{job.id}",
            "artifacts": [],
            "tag_list": [],
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
