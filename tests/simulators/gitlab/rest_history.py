"""REST: what was: labels of an issue, commits, directories, comparisons."""

from __future__ import annotations

from typing import Final

from tests.simulators.gitlab.access import missing, refused
from tests.simulators.gitlab.rest import FILES, PROJECT, Answer, Call, Page, route

REPOSITORY: Final = PROJECT + "/repository"


@route("GET", PROJECT + "/issues/{iid}/resource_label_events")
def label_events(call: Call) -> Answer:
    """List who set and took which labels, oldest first."""
    found = call.issue()
    return Page([call.parts.shapes.label_event(found, event) for event in found.label_events])


@route("GET", REPOSITORY + "/merge_base", scopes=FILES)
def merge_base(call: Call) -> Answer:
    """Read the commit where histories part."""
    refs = call.lists.get("refs[]", [])
    if len(refs) < 2:
        raise refused(400, "Provide at least 2 refs")
    git, project = call.parts.hosting, call.project
    found = [git.resolve(project, ref) for ref in refs]
    if gone := [ref for ref, sha in zip(refs, found, strict=True) if sha is None]:
        raise refused(400, f"Could not find ref{'s' * (len(gone) > 1)}: {', '.join(gone)}")
    one, other = (sha or "" for sha in found)
    if not git.related(project, one, other):
        raise missing("Merge Base")
    (commit,) = git.log(project, "-1", git.base(project, one, other))
    return call.parts.shapes.commit(project, commit)


@route("GET", REPOSITORY + "/compare", scopes=FILES)
def compare(call: Call) -> Answer:
    """Compare two commits, directly where `straight`, else from where they parted."""
    git, project = call.parts.hosting, call.project
    one, other = call.commit(call.query.get("from", ""), "Ref"), call.commit(call.query.get("to", ""), "Ref")
    start = one if call.query.get("straight") == "true" else git.base(project, one, other)
    commits = [call.parts.shapes.commit(project, commit) for commit in git.log(project, other, f"^{start}")]
    diffs = git.differing(project, start, other)
    most = call.parts.world.traits.most_paths
    return {
        "commit": commits[0] if commits else None,
        "commits": commits[::-1],
        "diffs": [
            {
                "diff": "",
                "new_path": new,
                "old_path": old,
                "a_mode": "100644",
                "b_mode": "100644",
                "new_file": letter == "A",
                "renamed_file": letter == "R",
                "deleted_file": letter == "D",
                "generated_file": False,
                "collapsed": False,
                "too_large": False,
            }
            for letter, old, new in diffs[:most]
        ],
        "compare_timeout": len(diffs) > most,
        "compare_same_ref": one == other,
        "web_url": f"{call.parts.shapes.web}/{project.full_path}/-/compare/{one}...{other}",
    }


@route("GET", REPOSITORY + "/tree", scopes=FILES)
def tree(call: Call) -> Answer:
    """List a directory, folders first."""
    sha, path = call.commit(call.query.get("ref", call.project.default_branch), "Tree"), call.query.get("path", "")
    where = f"{sha}:{path}" if path else sha
    if call.parts.hosting.sha(call.project, where) is None:
        raise missing("Tree")
    found = call.parts.hosting.entries(call.project, where, deep=call.query.get("recursive") == "true")
    ordered = sorted(found, key=lambda entry: entry[1] != "tree")
    above = f"{path}/" if path else ""
    return Page(
        [
            {"id": oid, "name": below.rpartition("/")[2], "type": kind, "path": above + below, "mode": mode}
            for mode, kind, oid, below in ordered
        ]
    )


@route("GET", REPOSITORY + "/commits", scopes=FILES)
def commits(call: Call) -> Answer:
    """List commits, newest first, of a branch and of a path; nothing where there is no such ref."""
    sha = call.parts.hosting.resolve(call.project, call.query.get("ref_name", call.project.default_branch))
    path = call.query.get("path")
    log = call.parts.hosting.log(call.project, sha, path=path) if sha else []
    return Page([call.parts.shapes.commit(call.project, commit) for commit in log])
