"""Webhook deliveries: signed, logged, resendable, and given up on when nobody answers."""

from __future__ import annotations

import asyncio
import base64
import contextvars
import hashlib
import hmac
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Final

import httpx

from tests.simulators.gitlab.shapes_accounts import Json
from tests.simulators.gitlab.world import EVENTS, Hook, Project, World

ANSWER_WITHIN: Final = 10.0  # seconds that GitLab waits for an answer
FAILURES_UNTIL_BACKOFF: Final = 4
FAILURES_UNTIL_THE_END: Final = 40
LONGEST_BACKOFF: Final = timedelta(days=1)
SYSTEM_EVENTS: Final = frozenset({"push_events", "tag_push_events", "merge_requests_events"})
# X-Gitlab-Event-UUID of the API request that is being carried out: the hooks it sets off share the value.
CHAIN: contextvars.ContextVar[str] = contextvars.ContextVar("chain", default="")


@dataclass(eq=False)
class Delivery:
    """One attempt to deliver; a resent one is a new attempt with the same Idempotency-Key."""

    id: int
    key: str
    event_uuid: str
    hook: Hook
    event: str  # X-Gitlab-Event
    trigger: str
    payload: Json
    at: datetime
    project: Project | None = None
    resent: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    status: int | None = None  # None until tried, 0 where nobody answered
    answer: str = ""
    seconds: float = 0.0

    @property
    def action(self) -> str | None:
        """Name the payload's action."""
        action: str | None = self.payload.get("object_attributes", {}).get("action")
        return action

    @property
    def is_received(self) -> bool:
        """Tell whether it was answered with success."""
        return self.status is not None and 200 <= self.status < 300

    def item(self) -> Json:
        """Write it as the list of hook events does."""
        shown = {name: value for name, value in self.headers.items() if name != "X-Gitlab-Token"}
        return {
            "id": self.id,
            "url": self.hook.url,
            "trigger": self.trigger,
            "request_headers": shown | ({"X-Gitlab-Token": "[REDACTED]"} if self.hook.token else {}),
            "request_data": self.payload,
            "response_headers": {},
            "response_body": self.answer,
            "response_status": str(self.status or "internal error"),
            "execution_duration": round(self.seconds, 3),
        }


class Courier:
    """Sends deliveries one after the other, keeps the log, and can hold them back."""

    def __init__(self, world: World, web: str) -> None:
        self._world = world
        self._web = web
        self._held: list[Delivery] | None = None
        self._queue: asyncio.Queue[Delivery] = asyncio.Queue()
        self._chains: dict[str, set[int]] = {}
        self.log: list[Delivery] = []
        self.withheld: list[Delivery] = []  # never sent, their hook being disabled
        self.resends: dict[tuple[int, int], list[datetime]] = {}  # by account and place: when
        self.keep: Callable[[Delivery], bool] = lambda _: True

    def emit(self, project: Project, trigger: str, payload: Json) -> None:
        """Tell every hook that listens, of the project, of its groups and of the instance: all of them fire."""
        hooks = [*project.hooks, *(hook for group in project.group.line for hook in group.hooks)]
        for hook in hooks:
            if hook.events[trigger]:
                self._post(hook, EVENTS[trigger], trigger, payload, project)
        if trigger in SYSTEM_EVENTS:
            for hook in self._world.hooks:
                self._post(hook, "System Hook", trigger, payload, project)

    def emit_system(self, payload: Json) -> None:
        """Tell the instance's hooks of what only they hear."""
        for hook in self._world.hooks:
            self._post(hook, "System Hook", "system_hooks", payload, None)

    def _post(self, hook: Hook, event: str, trigger: str, payload: Json, project: Project | None) -> None:
        delivery = self.make(hook, event, trigger, payload, project)
        seen = self._chains.setdefault(delivery.event_uuid, set())
        if hook.id in seen:
            return  # the recursion guard: a hook is not set off by what it set off itself
        seen.add(hook.id)
        if hook.disabled or (hook.disabled_until and hook.disabled_until > self._world.now()):
            self.withheld.append(delivery)
            return
        self.post(delivery)

    def make(self, hook: Hook, event: str, trigger: str, payload: Json, project: Project | None) -> Delivery:
        """Write a delivery without sending it."""
        told = _aged(payload) if self._world.traits.old_payloads else payload
        if not self._world.traits.note_actions and payload.get("object_kind") == "note":
            told = told | {"object_attributes": _without(told["object_attributes"], {"action"})}
        now, chain = self._world.now(), CHAIN.get() or str(uuid.uuid4())
        return Delivery(
            self._world.next_id(), str(uuid.uuid4()), chain, hook, event, trigger, told, now, project=project
        )

    def post(self, delivery: Delivery) -> Delivery:
        """Queue one delivery, unless deliveries are held or this one is to be lost."""
        self.log.append(delivery)
        if self._held is not None:
            self._held.append(delivery)
        elif self.keep(delivery):
            self._queue.put_nowait(delivery)
        return delivery

    def copy(self, delivery: Delivery, *, resent: bool) -> Delivery:
        """Write a delivery's next attempt: same key, another id."""
        now = self._world.now()
        return replace(delivery, id=self._world.next_id(), at=now, resent=resent, status=None, answer="", seconds=0.0)

    def hold(self) -> None:
        """Keep deliveries back until they are released."""
        self._held = [] if self._held is None else self._held

    def release(self, order: Callable[[list[Delivery]], list[Delivery]] = list) -> None:
        """Send what was held, in the given order, and hold nothing more."""
        held, self._held = self._held or [], None
        for delivery in order(held):
            self._queue.put_nowait(delivery)

    async def settled(self) -> None:
        """Wait until everything queued has been tried."""
        await self._queue.join()

    async def run(self) -> None:
        """Deliver for ever."""
        while True:
            delivery = await self._queue.get()
            try:
                await self.send(delivery)
            finally:
                self._queue.task_done()

    async def send(self, delivery: Delivery) -> None:
        """Try one delivery, and judge its hook by what follows."""
        body = json.dumps(delivery.payload, separators=(",", ":"), ensure_ascii=False).encode()
        delivery.headers = self._headers(delivery, body)
        began = monotonic()
        async with httpx.AsyncClient(timeout=ANSWER_WITHIN, trust_env=False, verify=False) as client:
            try:
                response = await client.post(delivery.hook.url, content=body, headers=delivery.headers)
                delivery.status, delivery.answer = response.status_code, response.text[:8192]
            except httpx.TransportError as error:
                delivery.status, delivery.answer = 0, type(error).__name__
        delivery.seconds = monotonic() - began
        self._judge(delivery)

    def _judge(self, delivery: Delivery) -> None:
        hook, how = delivery.hook, self._world.traits.disables
        if delivery.is_received:
            hook.failures, hook.backoffs, hook.disabled, hook.disabled_until = 0, 0, False, None
            return
        hook.failures += 1
        if how == "never" or hook.failures < FAILURES_UNTIL_BACKOFF:
            return
        is_client_error = delivery.status is not None and 400 <= delivery.status < 500
        if hook.failures >= FAILURES_UNTIL_THE_END or (how == "forever" and is_client_error):
            hook.disabled = True
            return
        pause = min(timedelta(minutes=2**hook.backoffs), LONGEST_BACKOFF)
        hook.backoffs, hook.disabled_until = hook.backoffs + 1, self._world.now() + pause

    def _headers(self, delivery: Delivery, body: bytes) -> dict[str, str]:
        traits, hook = self._world.traits, delivery.hook
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"GitLab/{traits.version}",
            "X-Gitlab-Event": delivery.event,
            "X-Gitlab-Webhook-UUID": str(uuid.uuid4()),  # another one at each attempt, whatever the docs say
            "X-Gitlab-Instance": self._web,
            "X-Gitlab-Event-UUID": delivery.event_uuid,
        }
        if traits.idempotency_keys:
            headers["Idempotency-Key"] = delivery.key
        if hook.token:
            headers["X-Gitlab-Token"] = hook.token
        if hook.signing and traits.signing:
            at = str(int(self._world.now().timestamp()))
            headers |= {"webhook-id": delivery.key, "webhook-timestamp": at}
            headers["webhook-signature"] = signature(hook.signing, delivery.key, at, body)
        return headers


def signature(secret: str, message: str, at: str, body: bytes) -> str:
    """Sign as Standard Webhooks does; `secret` is `whsec_` and base64 of the key."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, b".".join([message.encode(), at.encode(), body]), hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def _without(shape: Json, names: set[str]) -> Json:
    return {name: value for name, value in shape.items() if name not in names}


NEWER: Final = {
    "object_attributes": {"type", "severity", "customer_relations_contacts", "confidential", "discussion_id", "draft"}
    | {"detailed_merge_status", "prepared_at", "first_contribution", "reviewer_ids", "system", "system_action"},
    "user": {"id", "email"},
    "project": {"id"},
}


def _aged(payload: Json) -> Json:
    """Take out what old instances do not send; `system` goes only where it is new, on merge requests."""
    kind = payload.get("object_kind")
    aged: dict[str, Any] = payload if kind == "note" else _without(payload, {"event_type"})
    gone = {name: names for name, names in NEWER.items() if name in aged and isinstance(aged[name], dict)}
    if kind == "note":
        gone = {"object_attributes": {"discussion_id", "type", "updated_by_id"}}  # its user always had an id
    return aged | {name: _without(aged[name], names) for name, names in gone.items()}
