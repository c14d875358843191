"""The bodies of GitLab's webhooks."""

from __future__ import annotations

from typing import Any, Final

from tests.simulators.gitlab.hosting import ZERO
from tests.simulators.gitlab.payload_parts import Parts, stamp
from tests.simulators.gitlab.shapes_accounts import Json, when
from tests.simulators.gitlab.things import Award, Job, MergeRequest, Note, Pipeline, Subject
from tests.simulators.gitlab.world import Project, User

LISTED_COMMITS: Final = 20


class Payloads(Parts):
    """All bodies; `Courier` wraps them."""

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

    def project_moved(self, project: Project, owner: User, name: str, before: str) -> Json:
        """Announce a transfer or a new name to the instance."""
        return self.project_created(project, owner, name) | {"old_path_with_namespace": before}

    def project_created(self, project: Project, owner: User, name: str = "project_create") -> Json:
        """Announce a project to the instance."""
        return {
            "created_at": when(project.created),
            "updated_at": when(project.created),
            "event_name": name,
            "name": project.path,
            "owner_email": "",
            "owner_name": owner.name,
            "owners": [{"name": owner.name, "email": "[REDACTED]"}],
            "path": project.path,
            "path_with_namespace": project.full_path,
            "project_id": project.id,
            "project_visibility": project.visibility,
        }
