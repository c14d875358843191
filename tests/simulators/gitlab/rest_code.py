"""REST: merge requests, branches, files, commits."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import unquote

from tests.simulators.gitlab.access import Refusal, covers, missing, refused
from tests.simulators.gitlab.rest import FILES, PROJECT, Answer, Call, Made, Page, route
from tests.simulators.gitlab.rest_talk import update

CHANGE = PROJECT + "/merge_requests/{iid}"


@route("GET", PROJECT + "/merge_requests")
def merge_requests(call: Call) -> Answer:
    """List merge requests, newest first."""
    query, shown = call.query, []
    for mr in reversed(call.project.merge_requests.values()):
        fits = query.get("state", "all") in {"all", mr.state}
        fits = fits and query.get("source_branch", mr.source) == mr.source
        fits = fits and query.get("target_branch", mr.target) == mr.target
        fits = fits and query.get("author_id", str(mr.author.id)) == str(mr.author.id)
        if fits:
            shown.append(call.parts.shapes.merge_request(mr))
    return Page(shown)


@route("POST", PROJECT + "/merge_requests", "developer")
def create_merge_request(call: Call) -> Answer:
    """Open a merge request."""
    title, source, target = call.want("title", "source_branch", "target_branch")
    text = call.body.get("description")
    made = call.parts.actions.open_merge_request(call.project, call.user, title, text, source, target)
    made.removes_source = bool(call.body.get("remove_source_branch"))
    if labels := call.names("labels"):
        call.parts.actions.set_labels(made, call.user, labels)
    return Made(201, call.parts.shapes.full_merge_request(made))


@route("GET", CHANGE)
def merge_request(call: Call) -> Answer:
    """Read a merge request."""
    return call.parts.shapes.full_merge_request(call.merge_request())


@route("PUT", CHANGE)
def update_merge_request(call: Call) -> Answer:
    """Change a merge request."""
    found = call.merge_request()
    update(call, found)
    return call.parts.shapes.full_merge_request(found)


@route("GET", CHANGE + "/approvals")
def approvals(call: Call) -> Answer:
    """Read who has approved."""
    return call.parts.shapes.approvals(call.merge_request(), call.user)


@route("POST", CHANGE + "/approve")
def approve(call: Call) -> Answer:
    """Approve."""
    found = call.merge_request()
    call.parts.actions.approve(found, call.user, call.body.get("sha"))
    return Made(201, call.parts.shapes.approvals(found, call.user))


@route("POST", CHANGE + "/unapprove")
def unapprove(call: Call) -> Answer:
    """Take one's approval back."""
    call.parts.actions.unapprove(call.merge_request(), call.user)
    return Made(201)


@route("PUT", CHANGE + "/merge")
def merge(call: Call) -> Answer:
    """Merge."""
    found = call.merge_request()
    call.parts.actions.merge(found, call.user, call.body.get("sha"))
    return call.parts.shapes.full_merge_request(found)


@route("GET", CHANGE + "/commits")
def merge_request_commits(call: Call) -> Answer:
    """List the commits of a merge request, newest first."""
    mr = call.merge_request()
    log = call.parts.hosting.log(call.project, mr.sha, f"^{mr.base_sha}")
    return Page([call.parts.shapes.commit(call.project, commit) for commit in log])


@route("GET", CHANGE + "/diffs")
def diffs(call: Call) -> Answer:
    """List the files that a merge request changes."""
    mr, git = call.merge_request(), call.parts.hosting
    names = git.git(call.project, "diff", "--name-status", "--no-renames", "-z", mr.base_sha, mr.sha).decode()
    words, shown = names.split("\0"), []
    for kind, path in zip(words[::2], words[1::2], strict=False):
        text = git.git(call.project, "diff", "--no-renames", mr.base_sha, mr.sha, "--", path).decode(errors="replace")
        shown.append(
            {
                "diff": text.partition("\n@@")[2] and "@@" + text.partition("\n@@")[2],
                "new_path": path,
                "old_path": path,
                "a_mode": "100644" if kind != "A" else "0",
                "b_mode": "100644" if kind != "D" else "0",
                "new_file": kind == "A",
                "renamed_file": False,
                "deleted_file": kind == "D",
                "generated_file": False,
                "collapsed": False,
                "too_large": False,
            }
        )
    return Page(shown)


@route("GET", CHANGE + "/pipelines")
def merge_request_pipelines(call: Call) -> Answer:
    """List the pipelines of a merge request's head."""
    mr = call.merge_request()
    runs = [p for p in reversed(call.project.pipelines) if p.sha == mr.sha]
    return Page([call.parts.shapes.pipeline(p) for p in runs])


@route("GET", PROJECT + "/repository/branches")
def branches(call: Call) -> Answer:
    """List branches."""
    wanted, found = call.query.get("search", ""), call.parts.hosting.refs(call.project)
    names = {ref.removeprefix("refs/heads/"): sha for ref, sha in found.items() if ref.startswith("refs/heads/")}
    shown = [call.parts.shapes.branch(call.project, n, sha) for n, sha in names.items() if wanted in n]
    return Page(shown)


@route("POST", PROJECT + "/repository/branches", "developer")
def create_branch(call: Call) -> Answer:
    """Make a branch."""
    name, ref = call.want("branch", "ref")
    if call.parts.hosting.branch(call.project, name):
        raise refused(400, "Branch already exists")
    sha = call.parts.hosting.resolve(call.project, ref)
    if sha is None:
        raise refused(400, "Invalid reference name: " + ref)
    before = call.parts.hosting.refs(call.project)
    call.parts.hosting.set_ref(call.project, f"refs/heads/{name}", sha)
    call.parts.actions.pushed(call.project, call.user, before)
    return Made(201, call.parts.shapes.branch(call.project, name, sha))


@route("GET", PROJECT + "/repository/branches/{branch}")
def branch(call: Call) -> Answer:
    """Read a branch."""
    sha = call.parts.hosting.branch(call.project, call.params["branch"])
    if sha is None:
        raise missing("Branch")
    return call.parts.shapes.branch(call.project, call.params["branch"], sha)


@route("DELETE", PROJECT + "/repository/branches/{branch}", "developer")
def delete_branch(call: Call) -> Answer:
    """Delete a branch; protected ones stay."""
    name = call.params["branch"]
    if any(covers(rule, name) for rule in call.project.protected):
        raise refused(403, "Protected branches can't be deleted. Use the UI")
    if call.parts.hosting.branch(call.project, name) is None:
        raise missing("Branch")
    before = call.parts.hosting.refs(call.project)
    call.parts.hosting.set_ref(call.project, f"refs/heads/{name}", None)
    call.parts.actions.pushed(call.project, call.user, before)
    return Made(204)


def _file(call: Call) -> tuple[str, str, str, bytes]:
    path, ref = unquote(call.params["path"]), call.query.get("ref", call.project.default_branch)
    sha = call.commit(ref)
    found = call.parts.hosting.file(call.project, sha, path)
    if found is None:
        raise missing("File")
    return path, sha, *found


@route("GET", PROJECT + "/repository/files/{path}", scopes=FILES)
def file(call: Call) -> Answer:
    """Read a file with its metadata."""
    if "ref" not in call.query:
        raise Refusal(400, {"error": "ref is missing, ref is empty"})
    path, sha, blob, content = _file(call)
    return {
        "file_name": path.rpartition("/")[2],
        "file_path": path,
        "size": len(content),
        "encoding": "base64",
        "content_sha256": hashlib.sha256(content).hexdigest(),
        "ref": call.query["ref"],
        "blob_id": blob,
        "commit_id": sha,
        "last_commit_id": sha,
        "execute_filemode": False,
        "content": base64.b64encode(content).decode(),
    }


@route("GET", PROJECT + "/repository/files/{path}/raw", scopes=FILES)
def raw_file(call: Call) -> Answer:
    """Read a file's bytes."""
    *_, blob, content = _file(call)
    return Made(200, content, (("x-gitlab-blob-id", blob),))


@route("GET", PROJECT + "/repository/commits/{sha}")
def commit(call: Call) -> Answer:
    """Read a commit."""
    sha = call.commit(call.params["sha"])
    (found,) = call.parts.hosting.log(call.project, "-1", sha)
    runs = [p for p in call.project.pipelines if p.sha == sha]
    last = {
        "project_id": call.project.id,
        "status": runs[-1].status if runs else None,
        "last_pipeline": call.parts.shapes.pipeline(runs[-1]) if runs else None,
    }
    return (
        call.parts.shapes.commit(call.project, found) | {"stats": {"additions": 1, "deletions": 0, "total": 1}} | last
    )
