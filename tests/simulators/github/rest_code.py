"""REST: what lies in git, as lists and comparisons of commits."""

from __future__ import annotations

import subprocess

from tests.simulators.github.access import Refusal
from tests.simulators.github.rest import Answer, Call, Page, route
from tests.simulators.github.rest_repos import commit_shape
from tests.simulators.github.shapes_accounts import Json, node

REPO = "/repos/{owner}/{name}"
LISTED = 300  # files
WORDS = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "T": "changed"}


@route("GET", REPO + "/git/commits/{sha}", "contents:read")
def git_commit(call: Call) -> Answer:
    """Read a commit by its full id."""
    sha = call.params["sha"]
    if not call.parts.hosting.has_commit(call.repo, sha) or call.commit(sha) != sha:
        raise Refusal(404, "Not Found")
    shape = commit_shape(call, sha)
    inner: Json = shape["commit"]
    unsigned = {"verified": False, "reason": "unsigned", "signature": None, "payload": None, "verified_at": None}
    return {
        "sha": sha,
        "node_id": node("Commit", int(sha[:12], 16)),
        "url": f"{call.parts.shapes.api}/repos/{call.repo.full_name}/git/commits/{sha}",
        "html_url": shape["html_url"],
        **{name: inner[name] for name in ("author", "committer", "tree", "message")},
        "parents": [parent | {"html_url": parent["url"]} for parent in shape["parents"]],
        "verification": unsigned,
    }


@route("GET", REPO + "/commits", "contents:read")
def commits(call: Call) -> Answer:
    """List commits, newest first, all of them or those that touched a path."""
    rev = call.query.get("sha", call.repo.default_branch)
    try:
        tip = call.commit(rev)
    except Refusal as refusal:
        raise Refusal(404, "Not Found") from refusal
    path = ["--", call.query["path"]] if "path" in call.query else []
    listed = call.parts.hosting.git(call.repo, "log", "--format=%H", tip, *path).decode().split()
    return Page([commit_shape(call, sha) for sha in listed])


@route("GET", REPO + "/compare/{basehead}", "contents:read")
def compare(call: Call) -> Answer:
    """Compare what two revisions did since they parted."""
    base, head = (_tip(call, rev) for rev in call.params["basehead"].split("..."))
    git = call.parts.hosting.git
    try:
        parted = git(call.repo, "merge-base", base, head).decode().strip()
    except subprocess.CalledProcessError as error:
        raise Refusal(404, f"No common ancestor between {base} and {head}.") from error
    behind, ahead = git(call.repo, "rev-list", "--left-right", "--count", f"{base}...{head}").decode().split()
    status = {(True, True): "diverged", (True, False): "ahead", (False, True): "behind"}.get(
        (ahead != "0", behind != "0"), "identical"
    )
    page = f"{call.parts.shapes.web}/{call.repo.full_name}/compare/{base}...{head}"
    listed = git(call.repo, "rev-list", "--reverse", f"{base}..{head}").decode().split()
    return {
        "url": f"{call.parts.shapes.api}/repos/{call.repo.full_name}/compare/{base}...{head}",
        **{f"{kind}_url": page for kind in ("html", "permalink", "diff", "patch")},
        "base_commit": commit_shape(call, base),
        "merge_base_commit": commit_shape(call, parted),
        "status": status,
        "ahead_by": int(ahead),
        "behind_by": int(behind),
        "total_commits": int(ahead),
        "commits": [commit_shape(call, sha) for sha in listed],
        "files": [_file(call, line) for line in _changed(call, parted, head)][:LISTED],
    }


def _tip(call: Call, rev: str) -> str:
    try:
        return call.commit(rev)
    except Refusal as refusal:
        raise Refusal(404, "Not Found") from refusal


def _changed(call: Call, old: str, new: str) -> list[list[str]]:
    words = call.parts.hosting.git(call.repo, "diff", "-M", "--name-status", "-z", old, new).decode().split("\0")[:-1]
    lines = []
    while words:
        size = 3 if words[0][0] == "R" else 2
        lines.append(words[:size])
        del words[:size]
    return lines


def _file(call: Call, line: list[str]) -> Json:
    path = line[-1]
    url = f"{call.parts.shapes.web}/{call.repo.full_name}/blob/HEAD/file"
    shape = {"sha": None, "filename": path, "status": WORDS[line[0][0]]}
    shape |= dict.fromkeys(("additions", "deletions", "changes"), 1) | dict.fromkeys(
        ("blob_url", "raw_url", "contents_url"), url
    )
    return shape | ({"previous_filename": line[1]} if line[0][0] == "R" else {})
