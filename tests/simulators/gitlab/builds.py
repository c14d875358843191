"""Commit statuses, pipelines and jobs."""

from __future__ import annotations

import re
from typing import Final

from tests.simulators.gitlab.access import refused
from tests.simulators.gitlab.changes import Changes
from tests.simulators.gitlab.things import Job, MergeRequest, Pipeline
from tests.simulators.gitlab.world import Project, User

STATES: Final = ("pending", "running", "success", "failed", "canceled", "skipped")
OVER: Final = frozenset({"success", "failed", "canceled", "skipped"})
EVENT_OF: Final = dict(zip(STATES, ("enqueue", "run", "success", "drop", "cancel", "skip"), strict=True))
LONGEST: Final = 255
HUSH: Final = re.compile(r"\[(?:ci[ _-]skip|skip[ _-]ci)\]", re.IGNORECASE)
CONFIG: Final = ".gitlab-ci.yml"
FOR_CHANGES: Final = "merge_request"  # a configuration with this word has jobs for merge requests


class Actions(Changes):
    """Everything that can be done; the API and the test helpers both come through here."""

    def set_status(
        self,
        project: Project,
        by: User,
        sha: str,
        state: str,
        *,
        ref: str,
        name: str,
        url: str | None,
        text: str | None,
    ) -> Job:
        """Set a commit status; one that is not over is moved on, and moving it to where it is is refused."""
        if text is not None and len(text) > LONGEST:
            raise refused(400, {"description": [f"is too long (maximum is {LONGEST} characters)"]})
        runs = [p for p in project.pipelines if p.sha == sha and p.ref == ref]
        pipeline = runs[-1] if runs else self.new_pipeline(project, by, sha, ref, "external")
        alive = [job for job in pipeline.jobs if job.external and job.name == name and job.status not in OVER]
        job = alive[-1] if alive else self._new_job(pipeline, by, name, "external", external=True)
        if job.status == state or (state == "pending" and job.status == "running"):
            event = EVENT_OF[state]
            said = f"Cannot transition status via :{event} from :{job.status} (Reason(s): Status cannot transition via"
            raise refused(400, f'{said} "{event}")')
        job.target_url, job.description = url or job.target_url, text or job.description
        self.move_job(job, state)
        return job

    def new_pipeline(self, project: Project, by: User, sha: str, ref: str, source: str) -> Pipeline:
        """Start a pipeline."""
        now = self._world.now()
        iid = len(project.pipelines) + 1
        pipeline = Pipeline(self._world.next_id(), iid, project, sha, ref, source, by, now, now)
        project.pipelines.append(pipeline)
        return pipeline

    def runs(self, project: Project, by: User, branch: str, sha: str, *, skipped: bool) -> None:
        """Start the pipelines of a pushed commit, of the branch and of its merge requests; skipped ones are kept."""
        for_changes = self._does(project, sha, FOR_CHANGES)
        opened = [mr for mr in project.merge_requests.values() if mr.source == branch and mr.state == "opened"]
        made = [self.new_pipeline(project, by, sha, branch, "push")] if self._does(project, sha, "") else []
        for mr in opened if for_changes else ():
            made += [self.new_pipeline(project, by, sha, head_ref(mr), "merge_request_event")]
        for pipeline in made:
            pipeline.status = "skipped" if skipped or self._is_hushed(project, sha) else "created"

    def starts(self, mr: MergeRequest, by: User) -> None:
        """Start the pipeline of a merge request that was opened, if its configuration has one."""
        if self._does(mr.project, mr.sha, FOR_CHANGES):
            made = self.new_pipeline(mr.project, by, mr.sha, head_ref(mr), "merge_request_event")
            made.status = "skipped" if self._is_hushed(mr.project, mr.sha) else "created"

    def run_change(self, mr: MergeRequest, by: User) -> Pipeline:
        """Start a pipeline for a merge request on request; `[skip ci]` and `ci.skip` do not count then."""
        if not self._does(mr.project, mr.sha, FOR_CHANGES):
            raise refused(400, {"base": ["Pipeline will not run for the selected trigger."]})
        return self.new_pipeline(mr.project, by, mr.sha, head_ref(mr), "merge_request_event")

    def run_branch(self, project: Project, by: User, branch: str) -> Pipeline:
        """Start a pipeline of a branch's head on request."""
        sha = self._hosting.branch(project, branch)
        if sha is None:
            raise refused(400, {"base": ["Reference not found"]})
        if not self._does(project, sha, ""):
            raise refused(400, {"base": ["Missing CI config file"]})
        return self.new_pipeline(project, by, sha, branch, "api")

    def _is_hushed(self, project: Project, sha: str) -> bool:
        """Tell whether the message of a commit keeps CI from starting by itself."""
        (commit,) = self._hosting.log(project, "-1", sha)
        return HUSH.search(commit.message) is not None

    def _does(self, project: Project, sha: str, word: str) -> bool:
        """Tell whether a commit's configuration of CI is there and holds a word."""
        found = self._hosting.file(project, sha, CONFIG)
        return found is not None and word.encode() in found[1]

    def add_job(self, pipeline: Pipeline, by: User, name: str, stage: str = "test", trace: str = "") -> Job:
        """Add a job to a pipeline."""
        job = self._new_job(pipeline, by, name, stage, external=False)
        job.trace = trace
        return job

    def _new_job(self, pipeline: Pipeline, by: User, name: str, stage: str, *, external: bool) -> Job:
        job = Job(self._world.next_id(), pipeline, name, stage, by, self._world.now(), external=external)
        pipeline.jobs.append(job)
        return job

    def move_job(self, job: Job, state: str) -> None:
        """Move a job, and with it its pipeline."""
        now = self._world.now()
        job.status = state
        job.started = job.started or (None if state == "pending" else now)
        job.finished = now if state in OVER else None
        project, pipeline = job.pipeline.project, job.pipeline
        if not job.external:
            self._courier.emit(project, "job_events", self._payloads.job_event(job))
        overall = _overall(pipeline)
        if overall != pipeline.status:
            pipeline.status, pipeline.updated = overall, now
            self._courier.emit(project, "pipeline_events", self._payloads.pipeline_event(pipeline))


def head_ref(mr: MergeRequest) -> str:
    """Name the ref that pipelines of a merge request run on."""
    return f"refs/merge-requests/{mr.iid}/head"


def _overall(pipeline: Pipeline) -> str:
    latest = {job.name: job.status for job in pipeline.jobs if not job.allow_failure}.values()
    if set(latest) & {"running"} or (set(latest) & OVER and set(latest) & {"pending", "created"}):
        return "running"
    for state in ("pending", "created", "failed", "canceled", "success"):
        if state in latest:
            return state
    return "skipped"
