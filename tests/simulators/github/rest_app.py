"""REST: the App, its installations, tokens and deliveries."""

from __future__ import annotations

from tests.simulators.github.access import LEVELS, Refusal
from tests.simulators.github.hooks import Delivery, envelope
from tests.simulators.github.rest import Answer, Call, Made, Page, route
from tests.simulators.github.shapes_accounts import Json, when
from tests.simulators.github.world import Installation, Repository

TOKEN_LIFE = 3600.0


@route("GET", "/app", "app")
def app(call: Call) -> Answer:
    """Read the App."""
    return call.parts.shapes.app()


@route("GET", "/app/installations", "app")
def installations(call: Call) -> Answer:
    """List the App's installations."""
    return Page([call.parts.shapes.installation(found) for found in call.parts.world.installations.values()])


@route("GET", "/app/installations/{installation}", "app")
def installation(call: Call) -> Answer:
    """Read an installation."""
    return call.parts.shapes.installation(_installation(call))


@route("GET", "/repos/{owner}/{name}/installation", "app")
def repo_installation(call: Call) -> Answer:
    """Find the installation that covers a repository."""
    found = call.parts.world.installation_of(call.repo)
    if found is None:
        raise Refusal(404, "Not Found")
    return call.parts.shapes.installation(found)


def _installation(call: Call) -> Installation:
    found = call.parts.world.installations.get(call.number("installation"))
    if found is None:
        raise Refusal(404, "Not Found")
    return found


@route("POST", "/app/installations/{installation}/access_tokens", "app")
def create_token(call: Call) -> Answer:
    """Mint an installation token, narrowed as asked."""
    found = _installation(call)
    repositories = _narrow_repositories(call, found)
    permissions = _narrow_permissions(call, found)
    world = call.parts.world
    token = world.mint(
        world.app_bot,
        life=TOKEN_LIFE,
        prefix="ghs",
        installation=found,
        repositories=found.repositories if repositories is None else repositories,
        permissions=permissions,
    )
    answer: Json = {"token": token.value, "expires_at": when(token.expires), "permissions": permissions}
    answer["repository_selection"] = "selected"
    if repositories is not None:
        answer["repositories"] = [call.parts.shapes.repository(repo) for repo in repositories]
    return Made(201, answer)


def _narrow_repositories(call: Call, found: Installation) -> list[Repository] | None:
    ids, names = call.body.get("repository_ids"), call.body.get("repositories")
    if ids is None and names is None:
        return None
    chosen = [repo for repo in found.repositories if repo.id in (ids or []) or repo.name in (names or [])]
    if len(chosen) != len(ids or []) + len(names or []):
        message = (
            "There is at least one repository that does not exist or is not accessible to the parent installation."
        )
        raise Refusal(422, message)
    return chosen


def _narrow_permissions(call: Call, found: Installation) -> dict[str, str]:
    asked: dict[str, str] = call.body.get("permissions") or dict(found.permissions)
    for area, level in asked.items():
        if LEVELS.index(level) > LEVELS.index(found.permissions.get(area, "none")):
            raise Refusal(422, "The permissions requested are not granted to this installation.")
    return asked | {"metadata": "read"}


@route("GET", "/installation/repositories", "any")
def accessible(call: Call) -> Answer:
    """List what the installation token can reach."""
    token = call.caller.token
    if token is None or token.repositories is None:
        raise Refusal(403, "You must authenticate with an installation access token.")
    return Page([call.parts.shapes.repository(repo) for repo in token.repositories], "repositories")


@route("DELETE", "/installation/token", "any")
def revoke(call: Call) -> Answer:
    """Revoke the token that asks."""
    token = call.caller.token
    if token is None or token.installation is None:
        raise Refusal(403, "You must authenticate with an installation access token.")
    del call.parts.world.tokens[token.value]
    return Made(204)


@route("GET", "/app/hook/config", "app")
def hook_config(call: Call) -> Answer:
    """Read the App's webhook."""
    hook = call.parts.courier.app_hook
    if hook is None:
        raise Refusal(404, "Not Found")
    return {"url": hook.url, "content_type": hook.content_type, "insecure_ssl": "0", "secret": "********"}


@route("GET", "/app/hook/deliveries", "app")
def deliveries(call: Call) -> Answer:
    """List the App's deliveries, newest first."""
    return Page([item.item() for item in reversed(call.parts.courier.log) if item.hook.target_type == "integration"])


@route("GET", "/app/hook/deliveries/{delivery}", "app")
def delivery(call: Call) -> Answer:
    """Read a delivery with its request and answer."""
    item = _delivery(call)
    _, headers = envelope(item)
    answer = {"headers": {}, "payload": item.answer}
    return item.item() | {
        "url": item.hook.url,
        "request": {"headers": headers, "payload": item.payload},
        "response": answer,
    }


@route("POST", "/app/hook/deliveries/{delivery}/attempts", "app")
def redeliver(call: Call) -> Answer:
    """Deliver once more, under the same GUID."""
    call.parts.courier.again(_delivery(call))
    return Made(202, {})


def _delivery(call: Call) -> Delivery:
    for item in call.parts.courier.log:
        if item.id == call.number("delivery"):
            return item
    raise Refusal(422, "Delivery not found")
