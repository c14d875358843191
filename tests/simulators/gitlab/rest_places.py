"""REST: accounts, projects, members, labels."""

from __future__ import annotations

from tests.simulators.gitlab.access import missing, refused
from tests.simulators.gitlab.rest import PROJECT, READS, Answer, Call, Made, Page, route
from tests.simulators.gitlab.shapes_accounts import when
from tests.simulators.gitlab.world import User

ANY_SCOPE = frozenset({"api", "read_api", "read_user", "read_repository", "write_repository"})


@route("GET", "/user", scopes=READS | {"read_user"})
def me(call: Call) -> Answer:
    """Read one's own account."""
    return call.parts.shapes.me(call.user)


@route("GET", "/users/{user}", scopes=READS | {"read_user"})
def user(call: Call) -> Answer:
    """Read an account by its number."""
    return call.parts.shapes.full_user(_user(call))


def _user(call: Call) -> User:
    found = call.parts.world.users.get(call.number("user"))
    if found is None:
        raise missing("User")
    return found


@route("GET", "/personal_access_tokens/self", scopes=ANY_SCOPE)
def own_token(call: Call) -> Answer:
    """Read what the token in use may do."""
    token = call.token
    assert token is not None
    return {
        "id": token.id,
        "name": "gatewright",
        "revoked": token.revoked,
        "created_at": when(token.created),
        "scopes": sorted(token.scopes),
        "user_id": token.user.id,
        "active": True,
        "expires_at": token.expires.date().isoformat() if token.expires else None,
    }


def _metadata(call: Call) -> Answer:
    return {"version": call.parts.world.traits.version, "revision": "51b1a2f9e2f", "kas": {}, "enterprise": False}


route("GET", "/version")(_metadata)
route("GET", "/metadata")(_metadata)


@route("GET", PROJECT)
def project(call: Call) -> Answer:
    """Read a project."""
    return call.parts.shapes.project(call.project, call.token.user if call.token else None)


@route("GET", PROJECT + "/members/all")
def members(call: Call) -> Answer:
    """List members, inherited ones included."""
    everyone = call.parts.world.users.values()
    wanted = call.query.get("query", "").lower()
    shown = [u for u in everyone if call.project.level(u) and wanted in u.username.lower()]
    return Page([call.parts.shapes.member(u, call.project) for u in shown])


@route("GET", PROJECT + "/members/all/{user}")
def member(call: Call) -> Answer:
    """Read one member by the account's number; others are not found."""
    found = call.parts.world.users.get(call.number("user"))
    if found is None or not call.project.level(found):
        raise missing()
    return call.parts.shapes.member(found, call.project)


@route("GET", PROJECT + "/labels")
def labels(call: Call) -> Answer:
    """List labels."""
    wanted = call.query.get("search", "").lower()
    return Page([call.parts.shapes.label(call.project, x) for x in call.project.labels if wanted in x.title.lower()])


@route("POST", PROJECT + "/labels", "planner")
def create_label(call: Call) -> Answer:
    """Make a label."""
    name, color = call.want("name", "color")
    if call.project.label(name):
        raise refused(409, "Label already exists")
    made = call.parts.actions.new_label(call.project, name, color, call.body.get("description"))
    return Made(201, call.parts.shapes.label(call.project, made))


@route("GET", PROJECT + "/labels/{name}")
def label(call: Call) -> Answer:
    """Read a label by name or number."""
    wanted = call.params["name"]
    found = next((x for x in call.project.labels if wanted in {x.title, str(x.id)}), None)
    if found is None:
        raise missing("Label")
    return call.parts.shapes.label(call.project, found)
