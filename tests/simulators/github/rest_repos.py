"""REST: accounts, repositories, collaborators, contents, git refs, repository hooks."""

from __future__ import annotations

import base64

from tests.simulators.github.access import Refusal
from tests.simulators.github.rest import Answer, Call, Made, Page, route, want
from tests.simulators.github.shapes_accounts import Json, node
from tests.simulators.github.world import Hook, User

REPO = "/repos/{owner}/{name}"
LARGEST_CONTENT = 1024 * 1024


@route("GET", "/user", "user")
def me(call: Call) -> Answer:
    """Read the token's own account."""
    return call.parts.shapes.account(call.caller.user)


@route("GET", "/users/{login}", "any")
def user(call: Call) -> Answer:
    """Read an account."""
    return call.parts.shapes.account(_user(call))


def _user(call: Call) -> User:
    found = call.parts.world.find_user(call.params["login"])
    if found is None:
        raise Refusal(404, "Not Found")
    return found


@route("GET", "/rate_limit", "any")
def rate_limit(call: Call) -> Answer:
    """Read the limits."""
    reset = int(call.parts.world.now().timestamp()) + 3600
    rate = {"limit": 5000, "remaining": 4999, "reset": reset, "used": 1}
    return {"resources": {"core": rate, "search": rate | {"limit": 30}}, "rate": rate}


@route("GET", REPO, "metadata:read")
def repository(call: Call) -> Answer:
    """Read a repository."""
    return call.parts.shapes.full_repository(call.repo)


@route("GET", REPO + "/collaborators/{login}", "metadata:push")
def is_collaborator(call: Call) -> Answer:
    """Tell whether an account collaborates."""
    role = call.repo.roles.get(_user(call).id)
    return Made(204) if role or _user(call) is call.repo.owner else Made(404, {"message": "Not Found"})


@route("GET", REPO + "/collaborators/{login}/permission", "metadata:push")
def permission(call: Call) -> Answer:
    """Read what an account may do."""
    found = call.parts.world.find_user(call.params["login"])
    if found is None:
        raise Refusal(404, f"{call.params['login']} is not a user")
    return call.parts.shapes.permission(call.repo, found)


@route("GET", REPO + "/branches/{branch}", "contents:read")
def branch(call: Call) -> Answer:
    """Read a branch."""
    name = call.params["branch"]
    sha = call.parts.hosting.branch(call.repo, name)
    if sha is None:
        raise Refusal(404, "Branch not found")
    url = f"{call.parts.shapes.api}/repos/{call.repo.full_name}/branches/{name}"
    html = f"{call.parts.shapes.web}/{call.repo.full_name}/tree/{name}"
    return {
        "name": name,
        "commit": commit_shape(call, sha),
        "_links": {"self": url, "html": html},
        "protected": False,
        "protection": {"enabled": False},
        "protection_url": f"{url}/protection",
    }


@route("GET", REPO + "/commits/{ref}", "contents:read")
def commit(call: Call) -> Answer:
    """Read a commit."""
    return commit_shape(call, call.commit(call.params["ref"]))


def commit_shape(call: Call, sha: str) -> Json:
    """Write a commit; its author is the account that has the address, an empty object where none has."""
    raw = call.parts.hosting.git(call.repo, "show", "-s", "--format=%T%x00%P%x00%an%x00%ae%x00%aI%x00%B", sha)
    tree, parents, name, email, date, message = raw.decode().rstrip("\n").split("\0")
    url = f"{call.parts.shapes.api}/repos/{call.repo.full_name}"
    who = {"name": name, "email": email, "date": date}
    known = call.parts.world.known_by(email)
    return {
        "url": f"{url}/commits/{sha}",
        "sha": sha,
        "node_id": node("Commit", int(sha[:12], 16)),
        "html_url": f"{call.parts.shapes.web}/{call.repo.full_name}/commit/{sha}",
        "comments_url": f"{url}/commits/{sha}/comments",
        "commit": {
            "url": f"{url}/git/commits/{sha}",
            "author": who,
            "committer": who,
            "message": message.rstrip("\n"),
            "comment_count": 0,
            "tree": {"sha": tree, "url": f"{url}/git/trees/{tree}"},
        },
        "author": call.parts.shapes.user(known) if known else {},
        "committer": {},
        "parents": [{"sha": parent, "url": f"{url}/commits/{parent}"} for parent in parents.split()],
    }


@route("GET", REPO + "/contents/{path}", "contents:read")
def contents(call: Call) -> Answer:
    """Read a file or list a directory at a commit."""
    path = call.params["path"]
    rev = call.commit(call.query.get("ref", call.repo.default_branch))
    found = call.parts.hosting.entry(call.repo, rev, path)
    if found is None:
        raise Refusal(404, "Not Found")
    kind, sha = found
    if kind == "tree":
        names = call.parts.hosting.git(call.repo, "ls-tree", "--name-only", sha).decode().splitlines()
        inside = [(f"{path}/{name}", call.parts.hosting.entry(call.repo, rev, f"{path}/{name}")) for name in names]
        return [_content(call, name, *entry) for name, entry in inside if entry]
    data = call.parts.hosting.blob(call.repo, sha)
    large = len(data) > LARGEST_CONTENT
    text = "" if large else base64.encodebytes(data).decode()
    shape = _content(call, path, kind, sha)
    return shape | {"size": len(data), "content": text, "encoding": "none" if large else "base64"}


def _content(call: Call, path: str, kind: str, sha: str) -> Json:
    api = f"{call.parts.shapes.api}/repos/{call.repo.full_name}"
    url, git = f"{api}/contents/{path}", f"{api}/git/blobs/{sha}"
    html = f"{call.parts.shapes.web}/{call.repo.full_name}/blob/HEAD/{path}"
    return {
        "type": "dir" if kind == "tree" else "file",
        "size": 0,
        "name": path.rpartition("/")[2],
        "path": path,
        "sha": sha,
        "url": url,
        "git_url": git,
        "html_url": html,
        "download_url": None,
        "_links": {"self": url, "git": git, "html": html},
    }


@route("GET", REPO + "/git/ref/{ref}", "contents:read")
def ref(call: Call) -> Answer:
    """Read one ref by its exact name."""
    full = f"refs/{call.params['ref']}"
    sha = call.parts.hosting.refs(call.repo).get(full)
    if sha is None:
        raise Refusal(404, "Not Found")
    return _ref(call, full, sha)


@route("GET", REPO + "/git/matching-refs/{ref}", "contents:read")
def matching_refs(call: Call) -> Answer:
    """List refs by prefix."""
    prefix = f"refs/{call.params['ref']}"
    refs = call.parts.hosting.refs(call.repo)
    return [_ref(call, name, sha) for name, sha in sorted(refs.items()) if name.startswith(prefix)]


def _ref(call: Call, name: str, sha: str) -> Json:
    api = f"{call.parts.shapes.api}/repos/{call.repo.full_name}/git"
    target = {"type": "commit", "sha": sha, "url": f"{api}/commits/{sha}"}
    return {"ref": name, "node_id": node("Ref", int(sha[:12], 16)), "url": f"{api}/{name}", "object": target}


@route("POST", REPO + "/git/refs", "contents:write")
def create_ref(call: Call) -> Answer:
    """Make a ref."""
    name, sha = want(call.body, "ref", "sha")
    before = call.parts.hosting.refs(call.repo)
    if name in before:
        raise Refusal(422, "Reference already exists")
    if not name.startswith("refs/") or not call.parts.hosting.has_commit(call.repo, sha):
        raise Refusal(422, "Object does not exist")
    call.parts.hosting.set_ref(call.repo, name, sha)
    call.parts.actions.pushed(call.repo, call.caller.user, before)
    return Made(201, _ref(call, name, sha))


@route("PATCH", REPO + "/git/refs/{ref}", "contents:write")
def update_ref(call: Call) -> Answer:
    """Move a ref, forward unless forced."""
    full, (sha,) = f"refs/{call.params['ref']}", want(call.body, "sha")
    before = call.parts.hosting.refs(call.repo)
    if full not in before:
        raise Refusal(422, "Reference does not exist")
    if not call.body.get("force") and not call.parts.hosting.is_ancestor(call.repo, before[full], sha):
        raise Refusal(422, "Update is not a fast forward")
    call.parts.hosting.set_ref(call.repo, full, sha)
    call.parts.actions.pushed(call.repo, call.caller.user, before)
    return _ref(call, full, sha)


@route("DELETE", REPO + "/git/refs/{ref}", "contents:write")
def delete_ref(call: Call) -> Answer:
    """Delete a ref."""
    full = f"refs/{call.params['ref']}"
    before = call.parts.hosting.refs(call.repo)
    if full not in before:
        raise Refusal(422, "Reference does not exist")
    call.parts.hosting.set_ref(call.repo, full, None)
    call.parts.actions.pushed(call.repo, call.caller.user, before)
    return Made(204)


@route("GET", REPO + "/hooks", "administration:read")
def hooks(call: Call) -> Answer:
    """List webhooks."""
    return Page([call.parts.shapes.hook(call.repo, hook) for hook in call.repo.hooks])


@route("POST", REPO + "/hooks", "administration:write")
def create_hook(call: Call) -> Answer:
    """Make a webhook; without content_type its body is a form."""
    (config,) = want(call.body, "config")
    events = tuple(call.body.get("events", ["push"]))
    secret, kind = config.get("secret", ""), config.get("content_type", "form")
    hook = Hook(call.parts.world.next_id(), config["url"], secret, events, kind, "repository", call.repo.id)
    call.repo.hooks.append(hook)
    return Made(201, call.parts.shapes.hook(call.repo, hook))


@route("GET", REPO + "/hooks/{hook}/deliveries", "administration:read")
def hook_deliveries(call: Call) -> Answer:
    """List a webhook's deliveries, newest first."""
    wanted = call.number("hook")
    return Page([item.item() for item in reversed(call.parts.courier.log) if item.hook.id == wanted])


@route("POST", REPO + "/hooks/{hook}/deliveries/{delivery}/attempts", "administration:write")
def redeliver(call: Call) -> Answer:
    """Deliver once more, under the same GUID."""
    for item in call.parts.courier.log:
        if item.id == call.number("delivery") and item.hook.id == call.number("hook"):
            call.parts.courier.again(item)
            return Made(202, {})
    raise Refusal(422, "Delivery not found")
