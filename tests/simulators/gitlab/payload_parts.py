"""The parts that GitLab's webhooks are made of."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from tests.simulators.gitlab.hosting import Commit, Hosting
from tests.simulators.gitlab.shapes import Shapes
from tests.simulators.gitlab.shapes_accounts import Json
from tests.simulators.gitlab.things import Label, MergeRequest, Note, Subject
from tests.simulators.gitlab.world import Project, User

STATE_IDS: Final = {"opened": 1, "closed": 2, "merged": 3, "locked": 4}
VISIBILITY: Final = {"private": 0, "internal": 10, "public": 20}
TIMES: Final = {
    "time_estimate": 0,
    "total_time_spent": 0,
    "time_change": 0,
    "human_total_time_spent": None,
    "human_time_change": None,
    "human_time_estimate": None,
}


def stamp(at: datetime | None) -> str | None:
    """Write a time as webhooks do: whole seconds, where the API has milliseconds."""
    return None if at is None else at.strftime("%Y-%m-%d %H:%M:%S UTC")


class Parts:
    """Writers of accounts, projects, labels, issues, merge requests, notes, commits."""

    def __init__(self, shapes: Shapes, hosting: Hosting) -> None:
        self._shapes = shapes
        self._hosting = hosting

    def user(self, user: User) -> Json:
        """Write an account; the address is public nowhere by default."""
        return {
            "id": user.id,
            "name": user.name,
            "username": user.username,
            "avatar_url": f"{self._shapes.web}/uploads/-/system/user/avatar/{user.id}/avatar.png",
            "email": "[REDACTED]",
        }

    def project(self, project: Project, *, short: bool = False) -> Json:
        """Write a project; pipelines carry the short form."""
        web, ssh = f"{self._shapes.web}/{project.full_path}", f"git@127.0.0.1:{project.full_path}.git"
        shape = {
            "id": project.id,
            "name": project.path,
            "description": None,
            "web_url": web,
            "avatar_url": None,
            "git_ssh_url": ssh,
            "git_http_url": f"{web}.git",
            "namespace": project.group.path,
            "visibility_level": VISIBILITY[project.visibility],
            "path_with_namespace": project.full_path,
            "default_branch": project.default_branch,
            "ci_config_path": None,
        }
        return shape if short else shape | {"homepage": web, "url": ssh, "ssh_url": ssh, "http_url": f"{web}.git"}

    def repository(self, project: Project) -> Json:
        """Write the old short form of a project."""
        full = self.project(project)
        return {name: full[name] for name in ("name", "url", "description", "homepage")}

    def label(self, subject: Subject, label: Label) -> Json:
        """Write a label."""
        return {
            "id": label.id,
            "title": label.title,
            "color": label.color,
            "project_id": subject.project.id,
            "created_at": stamp(label.created),
            "updated_at": stamp(label.created),
            "template": False,
            "description": label.description,
            "type": "ProjectLabel",
            "group_id": None,
        }

    def labels(self, subject: Subject, labels: list[Label] | None = None) -> list[Json]:
        """Write labels, by default those that are on now."""
        return [self.label(subject, label) for label in (subject.labels if labels is None else labels)]

    def _subject(self, subject: Subject) -> Json:
        return {
            "author_id": subject.author.id,
            "created_at": stamp(subject.created),
            "description": subject.description,
            "id": subject.id,
            "iid": subject.iid,
            "last_edited_at": stamp(subject.updated) if subject.edited_by else None,
            "last_edited_by_id": subject.edited_by.id if subject.edited_by else None,
            "milestone_id": None,
            "state_id": STATE_IDS[subject.state],
            "title": subject.title,
            "updated_at": stamp(subject.updated),
            "updated_by_id": subject.edited_by.id if subject.edited_by else None,
            **TIMES,
            "url": self._shapes.page(subject),
            "assignee_ids": [],
            "assignee_id": None,
            "labels": self.labels(subject),
            "state": subject.state,
        }

    def issue_attributes(self, issue: Subject) -> Json:
        """Write an issue."""
        return self._subject(issue) | {
            "closed_at": stamp(issue.closed),
            "confidential": issue.confidential,
            "discussion_locked": issue.locked or None,
            "due_date": None,
            "moved_to_id": issue.moved_to.id if issue.moved_to else None,
            "duplicated_to_id": None,
            "project_id": issue.project.id,
            "relative_position": issue.iid * 513,
            "type": "Issue",
            "severity": "unknown",
            "customer_relations_contacts": [],
        }

    def merge_attributes(self, mr: MergeRequest) -> Json:
        """Write a merge request."""
        (commit,) = self._hosting.log(mr.project, "-1", mr.sha)
        return self._subject(mr) | {
            "blocking_discussions_resolved": True,
            "detailed_merge_status": "draft_status" if mr.draft else "mergeable",
            "draft": mr.draft,
            "first_contribution": False,
            "head_pipeline_id": None,
            "last_commit": self.commit(mr.project, commit),
            "merge_commit_sha": mr.merge_sha,
            "merge_error": None,
            "merge_params": {"force_remove_source_branch": "1" if mr.removes_source else "0"},
            "merge_status": "can_be_merged",
            "merge_user_id": mr.merged_by.id if mr.merged_by else None,
            "merge_when_pipeline_succeeds": False,
            "prepared_at": stamp(mr.created),
            "reviewer_ids": [],
            "source": self.project(mr.project),
            "source_branch": mr.source,
            "source_project_id": mr.project.id,
            "target": self.project(mr.project),
            "target_branch": mr.target,
            "target_project_id": mr.project.id,
            "work_in_progress": mr.draft,
        }

    def attributes(self, subject: Subject) -> Json:
        """Write an issue or a merge request."""
        return self.merge_attributes(subject) if isinstance(subject, MergeRequest) else self.issue_attributes(subject)

    def note_attributes(self, note: Note) -> Json:
        """Write a note."""
        edited = note.edited_by.id if note.edited_by else None
        blank = ("attachment", "change_position", "commit_id", "line_code", "original_position", "position")
        more = ("resolved_at", "resolved_by_id", "resolved_by_push", "st_diff", "type")
        return dict.fromkeys(blank + more) | {
            "author_id": note.author.id,
            "created_at": stamp(note.created),
            "discussion_id": note.discussion,
            "id": note.id,
            "note": note.body,
            "noteable_id": note.subject.id,
            "noteable_type": note.subject.kind,
            "project_id": note.subject.project.id,
            "system": note.system,
            "updated_at": stamp(note.updated),
            "updated_by_id": edited,
            "description": note.body,
            "url": f"{self._shapes.page(note.subject)}#note_{note.id}",
        }

    def commit(self, project: Project, commit: Commit) -> Json:
        """Write a commit."""
        return {
            "id": commit.id,
            "message": commit.message,
            "title": commit.title,
            "timestamp": commit.committer[2],
            "url": f"{self._shapes.web}/{project.full_path}/-/commit/{commit.id}",
            "author": {"name": commit.author[0], "email": commit.author[1]},
        }
