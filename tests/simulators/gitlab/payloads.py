"""The bodies of GitLab's webhooks."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from tests.simulators.gitlab.hosting import ZERO, Commit, Hosting
from tests.simulators.gitlab.shapes import Json, Shapes, when
from tests.simulators.gitlab.world import Award, Job, Label, MergeRequest, Note, Pipeline, Project, Subject, User

LISTED_COMMITS: Final = 20
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


class Payloads:
    """All bodies; `Courier` wraps them."""

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
            "moved_to_id": None,
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

    def subject_event(self, subject: Subject, by: User, action: str, changes: Json, **more: Any) -> Json:
        """Announce what became of an issue or a merge request; `changes` as {name: (before, now)}."""
        kind = "merge_request" if isinstance(subject, MergeRequest) else "issue"
        return {
            "object_kind": kind,
            "event_type": f"confidential_{kind}" if subject.confidential else kind,
            "user": self.user(by),
            "project": self.project(subject.project),
            "object_attributes": self.attributes(subject) | {"action": action} | more,
            "labels": self.labels(subject),
            "changes": {name: {"previous": old, "current": new} for name, (old, new) in changes.items()},
            "repository": self.repository(subject.project),
        }

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

    def note_event(self, note: Note, action: str) -> Json:
        """Announce a note; `user` is the AUTHOR, even where somebody else edited it."""
        subject = note.subject
        member = "merge_request" if isinstance(subject, MergeRequest) else "issue"
        return {
            "object_kind": "note",
            "event_type": "confidential_note" if note.is_confidential else "note",
            "user": self.user(note.author),
            "project_id": subject.project.id,
            "project": self.project(subject.project),
            "object_attributes": self.note_attributes(note) | {"action": action},
            "repository": self.repository(subject.project),
            member: self.attributes(subject),
        }

    def emoji_event(self, award: Award, on: Subject | Note, action: str) -> Json:
        """Announce an award emoji, given or taken back."""
        subject = on.subject if isinstance(on, Note) else on
        page = self._shapes.page(subject) + (f"#note_{on.id}" if isinstance(on, Note) else "")
        shape = {
            "object_kind": "emoji",
            "event_type": action,
            "user": self.user(award.user),
            "project_id": subject.project.id,
            "project": self.project(subject.project),
            "object_attributes": {
                "user_id": award.user.id,
                "created_at": stamp(award.created),
                "id": award.id,
                "name": award.name,
                "awardable_type": "Note" if isinstance(on, Note) else on.kind,
                "awardable_id": on.id,
                "updated_at": stamp(award.created),
                "action": action,
                "awarded_on_url": page,
            },
        }
        noted = {"note": self.note_attributes(on)} if isinstance(on, Note) else {}
        member = "merge_request" if isinstance(subject, MergeRequest) else "issue"
        return shape | noted | {member: self.attributes(subject)}

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

    def push_event(self, project: Project, by: User, ref: str, before: str, after: str) -> Json:
        """Announce that a branch or tag moved."""
        kind = "tag_push" if ref.startswith("refs/tags/") else "push"
        commits = (
            [] if after == ZERO else self._hosting.log(project, after, *([] if before == ZERO else [f"^{before}"]))
        )
        commits = commits[:1] if before == ZERO else commits
        listed = [self.commit(project, c) | self._hosting.changed(project, c) for c in commits[:LISTED_COMMITS]]
        urls = {name: self.project(project)[name] for name in ("git_http_url", "git_ssh_url", "visibility_level")}
        return {
            "object_kind": kind,
            "event_name": kind,
            "before": before,
            "after": after,
            "ref": ref,
            "checkout_sha": None if after == ZERO else after,
            "user_id": by.id,
            "user_name": by.name,
            "user_username": by.username,
            "user_email": "",
            "user_avatar": self.user(by)["avatar_url"],
            "project_id": project.id,
            "project": self.project(project),
            "commits": listed[::-1],
            "total_commits_count": len(commits),
            "repository": self.repository(project) | urls,
        }

    def pipeline_event(self, pipeline: Pipeline) -> Json:
        """Announce the state of a pipeline."""
        (commit,) = self._hosting.log(pipeline.project, "-1", pipeline.sha)
        finished = max((job.finished for job in pipeline.jobs if job.finished), default=None)
        return {
            "object_kind": "pipeline",
            "object_attributes": {
                "id": pipeline.id,
                "iid": pipeline.iid,
                "ref": pipeline.ref,
                "tag": False,
                "sha": pipeline.sha,
                "before_sha": ZERO,
                "source": pipeline.source,
                "status": pipeline.status,
                "detailed_status": "passed" if pipeline.status == "success" else pipeline.status,
                "stages": list(dict.fromkeys(job.stage for job in pipeline.jobs)),
                "created_at": stamp(pipeline.created),
                "finished_at": stamp(finished),
                "duration": 1 if finished else None,
                "queued_duration": 1,
                "variables": [],
            },
            "merge_request": self._merge_request_of(pipeline),
            "user": self.user(pipeline.user),
            "project": self.project(pipeline.project, short=True),
            "commit": self.commit(pipeline.project, commit),
            "builds": [self._build(job) for job in pipeline.jobs if not job.external],
        }

    def _merge_request_of(self, pipeline: Pipeline) -> Json | None:
        for mr in pipeline.project.merge_requests.values():
            if pipeline.source == "merge_request_event" and mr.source == pipeline.ref:
                full = self.merge_attributes(mr)
                names = ("id", "iid", "title", "source_branch", "source_project_id", "target_branch", "url")
                more = ("target_project_id", "state", "merge_status", "detailed_merge_status")
                return {name: full[name] for name in names + more}
        return None

    def _build(self, job: Job) -> Json:
        return {
            "id": job.id,
            "stage": job.stage,
            "name": job.name,
            "status": job.status,
            "created_at": stamp(job.created),
            "started_at": stamp(job.started),
            "finished_at": stamp(job.finished),
            "duration": 1.0 if job.finished else None,
            "queued_duration": 0.1,
            "failure_reason": "script_failure" if job.status == "failed" else None,
            "when": "on_success",
            "manual": False,
            "allow_failure": job.allow_failure,
            "user": self.user(job.user),
            "runner": None,
            "artifacts_file": {"filename": None, "size": None},
            "environment": None,
        }

    def job_event(self, job: Job) -> Json:
        """Announce the state of a job."""
        pipeline, project = job.pipeline, job.pipeline.project
        (commit,) = self._hosting.log(project, "-1", pipeline.sha)
        names = ("name", "url", "description", "homepage", "git_http_url", "git_ssh_url", "visibility_level")
        full = self.project(project)
        return {
            "object_kind": "build",
            "ref": pipeline.ref,
            "tag": False,
            "before_sha": ZERO,
            "sha": pipeline.sha,
            "retries_count": 0,
            "build_id": job.id,
            "build_name": job.name,
            "build_stage": job.stage,
            "build_status": job.status,
            "build_created_at": stamp(job.created),
            "build_started_at": stamp(job.started),
            "build_finished_at": stamp(job.finished),
            "build_duration": 1.0 if job.finished else None,
            "build_queued_duration": 0.1,
            "build_allow_failure": job.allow_failure,
            "build_failure_reason": "script_failure" if job.status == "failed" else "unknown_failure",
            "pipeline_id": pipeline.id,
            "runner": None,
            "project_id": project.id,
            "project_name": f"{project.group.full_path.replace('/', ' / ')} / {project.path}",
            "user": self.user(job.user),
            "commit": {
                "id": pipeline.id,
                "name": None,
                "sha": pipeline.sha,
                "message": commit.message,
                "author_name": commit.author[0],
                "author_email": commit.author[1],
                "author_url": f"mailto:{commit.author[1]}",
                "status": pipeline.status,
                "duration": None,
                "started_at": stamp(job.started),
                "finished_at": stamp(job.finished),
            },
            "repository": {name: full[name] for name in names},
            "environment": None,
        }

    def project_created(self, project: Project, owner: User) -> Json:
        """Announce a new project to the instance."""
        return {
            "created_at": when(project.created),
            "updated_at": when(project.created),
            "event_name": "project_create",
            "name": project.path,
            "owner_email": "",
            "owner_name": owner.name,
            "owners": [{"name": owner.name, "email": "[REDACTED]"}],
            "path": project.path,
            "path_with_namespace": project.full_path,
            "project_id": project.id,
            "project_visibility": project.visibility,
        }
