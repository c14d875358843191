"""REST: commit statuses, pipelines and jobs."""

from __future__ import annotations

from http import HTTPStatus

from tests.simulators.gitlab.access import Refusal, missing
from tests.simulators.gitlab.builds import STATES
from tests.simulators.gitlab.hosting import ZERO
from tests.simulators.gitlab.rest import PROJECT, Answer, Call, Made, Page, route
from tests.simulators.gitlab.things import Job, Pipeline


@route("GET", PROJECT + "/repository/commits/{sha}/statuses")
def statuses(call: Call) -> Answer:
    """List the statuses of a commit; of one name only the newest, unless all are asked for."""
    sha = call.commit(call.params["sha"])
    jobs = [job for p in call.project.pipelines if p.sha == sha for job in p.jobs]
    for member, value in (("ref", call.query.get("ref")), ("name", call.query.get("name"))):
        jobs = [j for j in jobs if value in {None, j.name if member == "name" else j.pipeline.ref}]
    if call.query.get("all") != "true":
        jobs = list({(job.pipeline.ref, job.name): job for job in jobs}.values())
    return Page([call.parts.shapes.status(job) for job in jobs])


@route("POST", PROJECT + "/statuses/{sha}", "developer")
def set_status(call: Call) -> Answer:
    """Set a commit status; the commit must be named in full, and be on a branch."""
    (state,) = call.want("state")
    if state not in STATES:
        raise Refusal(400, {"error": "state does not have a valid value"})
    sha = call.params["sha"]
    if call.parts.hosting.sha(call.project, f"{sha}^{{commit}}") != sha:
        raise missing("Commit")
    refs = call.parts.hosting.refs(call.project)
    holding = [
        ref.removeprefix("refs/heads/") for ref, at in refs.items() if at == sha and ref.startswith("refs/heads/")
    ]
    ref = call.body.get("ref") or next(iter(holding), call.project.default_branch)
    name = call.body.get("name") or call.body.get("context") or "default"
    url, text = call.body.get("target_url"), call.body.get("description")
    job = call.parts.actions.set_status(call.project, call.user, sha, state, ref=ref, name=name, url=url, text=text)
    return Made(HTTPStatus.CREATED, call.parts.shapes.status(job))


def _pipeline(call: Call) -> Pipeline:
    wanted = call.number("pipeline")
    found = next((p for p in call.project.pipelines if p.id == wanted), None)
    if found is None:
        raise missing()
    return found


@route("POST", PROJECT + "/merge_requests/{iid}/pipelines", "developer")
def run_change(call: Call) -> Answer:
    """Start a pipeline for a merge request."""
    made = call.parts.actions.run_change(call.merge_request(), call.user)
    return Made(HTTPStatus.CREATED, call.parts.shapes.pipeline(made))


@route("POST", PROJECT + "/pipeline", "developer")
def run_branch(call: Call) -> Answer:
    """Start a pipeline for the head of a branch."""
    (ref,) = call.want("ref")
    made = call.parts.actions.run_branch(call.project, call.user, ref)
    return Made(HTTPStatus.CREATED, call.parts.shapes.pipeline(made))


@route("POST", PROJECT + "/pipelines/{pipeline}/cancel", "developer")
def cancel(call: Call) -> Answer:
    """Stop a pipeline."""
    found = _pipeline(call)
    found.status = "canceled"
    return call.parts.shapes.pipeline(found)


@route("GET", PROJECT + "/pipelines/{pipeline}")
def pipeline(call: Call) -> Answer:
    """Read a pipeline."""
    found = _pipeline(call)
    more = {"before_sha": ZERO, "tag": False, "user": call.parts.shapes.user(found.user), "coverage": None}
    return call.parts.shapes.pipeline(found) | more


@route("GET", PROJECT + "/pipelines/{pipeline}/jobs")
def jobs(call: Call) -> Answer:
    """List a pipeline's jobs; statuses of others are none."""
    return Page([call.parts.shapes.job(job) for job in _pipeline(call).jobs if not job.external])


def _job(call: Call) -> Job:
    wanted = call.number("job")
    found = [job for p in call.project.pipelines for job in p.jobs if job.id == wanted and not job.external]
    if not found:
        raise missing()
    return found[0]


@route("GET", PROJECT + "/jobs/{job}")
def job(call: Call) -> Answer:
    """Read a job."""
    return call.parts.shapes.job(_job(call))


@route("GET", PROJECT + "/jobs/{job}/trace")
def trace(call: Call) -> Answer:
    """Read what a job has printed."""
    return Made(200, _job(call).trace.encode())
