"""REST: webhooks of projects and groups, their events, resending and testing."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from tests.simulators.gitlab.access import FORBIDDEN, Refusal, missing, refused
from tests.simulators.gitlab.hooks import Delivery
from tests.simulators.gitlab.rest import PROJECT, Answer, Call, Made, Page, route
from tests.simulators.gitlab.world import EVENTS, LEVELS, Group, Hook, Project

HOOK = "/hooks/{hook}"
KEPT_FOR: Final = timedelta(days=7)
RESENDS_A_MINUTE: Final = 5


def _place(call: Call) -> Project | Group:
    if call.found is not None:
        call.at_least("maintainer")
        return call.found
    groups = call.parts.world.groups.values()
    wanted = call.params["group"]
    group = next((g for g in groups if wanted in {str(g.id), g.full_path}), None)
    if group is None:
        raise missing("Group")
    if max(g.members.get(call.user.id, 0) for g in group.line) < LEVELS["owner"]:
        raise refused(403, FORBIDDEN)
    return group


def _hook(call: Call) -> Hook:
    wanted = call.number("hook")
    hook = next((h for h in _place(call).hooks if h.id == wanted), None)
    if hook is None:
        raise missing()
    return hook


def _fill(call: Call, hook: Hook) -> None:
    body = call.body
    if "url" in body and not body["url"].startswith(("http://", "https://")):
        raise Refusal(422, {"error": "Invalid url given"})
    for name in ("url", "token", "name", "description"):
        setattr(hook, name, body.get(name, getattr(hook, name)))
    if call.parts.world.traits.signing:  # silently ignored where the flag is off
        hook.signing = body.get("signing_token", hook.signing)
    hook.events |= {flag: bool(body[flag]) for flag in EVENTS if flag in body}


def _list(call: Call) -> Answer:
    return Page([call.parts.shapes.hook(hook) for hook in _place(call).hooks])


def _create(call: Call) -> Answer:
    (url,) = call.want("url")
    world, place = call.parts.world, _place(call)
    hook = Hook(world.next_id(), url, place, world.now(), events={flag: flag == "push_events" for flag in EVENTS})
    _fill(call, hook)
    place.hooks.append(hook)
    return Made(201, call.parts.shapes.hook(hook))


def _read(call: Call) -> Answer:
    return call.parts.shapes.hook(_hook(call))


def _change(call: Call) -> Answer:
    hook = _hook(call)
    _fill(call, hook)
    return call.parts.shapes.hook(hook)


def _delete(call: Call) -> Answer:
    hook = _hook(call)
    _place(call).hooks.remove(hook)
    return Made(204)


def _logged(call: Call) -> list[Delivery]:
    hook, since = _hook(call), call.parts.world.now() - KEPT_FOR
    return [d for d in reversed(call.parts.courier.log) if d.hook is hook and d.status is not None and d.at >= since]


def _events(call: Call) -> Answer:
    wanted = call.query.get("status", "")
    shown = [delivery for delivery in _logged(call) if wanted in {"", _outcome(delivery), str(delivery.status)}]
    return Page([delivery.item() for delivery in shown])


def _outcome(delivery: Delivery) -> str:
    if delivery.is_received:
        return "successful"
    return "client_failure" if 400 <= (delivery.status or 0) < 500 else "server_failure"


async def _resend(call: Call) -> Answer:
    world, wanted = call.parts.world, call.number("event")
    delivery = next((d for d in _logged(call) if d.id == wanted), None)
    if delivery is None:
        raise missing()
    place = _place(call)
    times = call.parts.courier.resends.setdefault((call.user.id, place.id), [])
    times[:] = [at for at in times if at > world.now() - timedelta(minutes=1)]
    if len(times) >= RESENDS_A_MINUTE:
        raise refused(429, "This endpoint has been requested too many times. Try again later.")
    times.append(world.now())
    again = call.parts.courier.copy(delivery, resent=True)
    call.parts.courier.log.append(again)
    await call.parts.courier.send(again)
    return _judged(again)


async def _test(call: Call) -> Answer:
    hook, trigger = _hook(call), call.params["trigger"]
    if trigger not in EVENTS:
        raise Refusal(400, {"error": "trigger does not have a valid value"})
    log = [d for d in call.parts.courier.log + call.parts.courier.withheld if d.trigger == trigger]
    if not log:
        raise refused(422, f"Ensure the project has {trigger.removesuffix('_events').replace('_', ' ')} to show.")
    delivery = call.parts.courier.make(hook, EVENTS[trigger], trigger, log[-1].payload, log[-1].project)
    call.parts.courier.log.append(delivery)
    await call.parts.courier.send(delivery)
    return _judged(delivery)


def _judged(delivery: Delivery) -> Answer:
    if delivery.is_received:
        return Made(201, {"message": "201 Created"})
    raise refused(422, f"Hook executed but returned HTTP {delivery.status} {delivery.answer}")


for place in (PROJECT, "/groups/{group}"):
    route("GET", place + "/hooks")(_list)
    route("POST", place + "/hooks")(_create)
    route("GET", place + HOOK)(_read)
    route("PUT", place + HOOK)(_change)
    route("DELETE", place + HOOK)(_delete)
    route("GET", place + HOOK + "/events")(_events)
    route("POST", place + HOOK + "/events/{event}/resend")(_resend)
    route("POST", place + HOOK + "/test/{trigger}")(_test)
