"""GitLab's JSON for issues, merge requests, notes, statuses and jobs, as its REST API writes it."""

from __future__ import annotations

from collections import Counter
from typing import Final

from tests.simulators.gitlab.shapes_accounts import AccountShapes, Json, when
from tests.simulators.gitlab.things import Award, Job, LabelEvent, MergeRequest, Note, Pipeline, Subject
from tests.simulators.gitlab.world import User

STATS: Final = {
    "time_estimate": 0,
    "total_time_spent": 0,
    "human_time_estimate": None,
    "human_total_time_spent": None,
}


class Shapes(AccountShapes):
    """All writers."""

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
            "imported": subject.imported_from != "none",
            "imported_from": subject.imported_from,
        }

    def page(self, subject: Subject) -> str:
        """Write the address people open."""
        return f"{self.web}/{subject.project.full_path}/-/{subject.folder}/{subject.iid}"

    def issue(self, issue: Subject) -> Json:
        """Write an issue."""
        more = {"type": "ISSUE", "issue_type": "issue", "confidential": issue.confidential, "severity": "UNKNOWN"}
        more |= {"service_desk_reply_to": issue.reply_to, "has_tasks": False, "merge_requests_count": 0}
        return self._subject(issue) | more | {"moved_to_id": issue.moved_to.id if issue.moved_to else None}

    def label_event(self, subject: Subject, event: LabelEvent) -> Json:
        """Write who set or took a label; one that was deleted since has no name left."""
        label = event.label if event.label in subject.project.labels else None
        name = {"id": event.label.id, "name": event.label.title, "color": event.label.color, "description": ""}
        return {
            "id": event.id,
            "user": self.user(event.user),
            "created_at": when(event.created),
            "resource_type": subject.kind,
            "resource_id": subject.id,
            "label": name if label else None,
            "action": event.action,
        }

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
