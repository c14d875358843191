"""Webhook deliveries: signed, logged, repeatable, and as unreliable as a test wants them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Any, Final
from urllib.parse import urlencode

import httpx
import jsonschema

from tests.simulators.github.shapes import Shapes
from tests.simulators.github.shapes_accounts import Json, node, when
from tests.simulators.github.world import Hook, Repository, User, World

ANSWER_WITHIN: Final = 10.0  # seconds that GitHub waits for an answer


@dataclass
class Delivery:
    """One attempt to deliver; a redelivery is a new attempt with the same GUID."""

    id: int
    guid: str
    hook: Hook
    event: str
    payload: Json
    at: datetime
    repository: Repository | None
    installation: int | None
    redelivery: bool = False
    status: int | None = None  # None until tried, 0 where nobody answered
    answer: str = ""
    seconds: float = 0.0

    @property
    def action(self) -> str | None:
        """Name the payload's action."""
        action: str | None = self.payload.get("action")
        return action

    def item(self) -> Json:
        """Write it as the list of deliveries does."""
        return {
            "id": self.id,
            "guid": self.guid,
            "delivered_at": when(self.at),
            "redelivery": self.redelivery,
            "duration": round(self.seconds, 3),
            "status": "OK" if self.status and self.status < 300 else self.answer or "failed",
            "status_code": self.status or 0,
            "event": self.event,
            "action": self.action,
            "installation_id": self.installation,
            "repository_id": self.repository.id if self.repository else None,
        }


class Courier:
    """Sends deliveries one after the other, keeps the log, and can hold them back."""

    def __init__(self, world: World, shapes: Shapes) -> None:
        self._world = world
        self._shapes = shapes
        self._held: list[Delivery] | None = None
        self._queue: asyncio.Queue[Delivery] = asyncio.Queue()
        self.log: list[Delivery] = []
        self.app_hook: Hook | None = None
        self.keep: Callable[[Delivery], bool] = lambda _: True

    def emit(self, repo: Repository, event: str, sender: User, payload: Json) -> list[Delivery]:
        """Tell every hook that listens of an event."""
        frame = {"repository": self._shapes.repository(repo), "sender": self._shapes.user(sender)}
        sent = []
        installation = self._world.installation_of(repo)
        if self.app_hook is not None and installation is not None:
            told = {"installation": {"id": installation.id, "node_id": node("Installation", installation.id)}}
            sent.append(self._make(self.app_hook, event, payload | frame | told, repo, installation.id))
        sent += [self._make(hook, event, payload | frame, repo) for hook in repo.hooks if _listens(hook, event)]
        for delivery in sent:
            self.post(delivery)
        return sent

    def _make(
        self, hook: Hook, event: str, payload: Json, repo: Repository | None, installation: int | None = None
    ) -> Delivery:
        guid = str(uuid.uuid4())
        return Delivery(self._world.next_id(), guid, hook, event, payload, self._world.now(), repo, installation)

    def post(self, delivery: Delivery) -> Delivery:
        """Queue one delivery, unless deliveries are held or this one is to be lost."""
        self.log.append(delivery)
        if self._held is not None:
            self._held.append(delivery)
        elif self.keep(delivery):
            self._queue.put_nowait(delivery)
        return delivery

    def again(self, delivery: Delivery, *, redelivery: bool = True) -> Delivery:
        """Deliver once more under the same GUID."""
        return self.post(
            replace(
                delivery, id=self._world.next_id(), at=self._world.now(), redelivery=redelivery, status=None, answer=""
            )
        )

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
        async with httpx.AsyncClient(timeout=ANSWER_WITHIN, trust_env=False, verify=False) as client:
            while True:
                delivery = await self._queue.get()
                try:
                    await self._try(client, delivery)
                finally:
                    self._queue.task_done()

    async def _try(self, client: httpx.AsyncClient, delivery: Delivery) -> None:
        body, headers = envelope(delivery)
        began = monotonic()
        try:
            response = await client.post(delivery.hook.url, content=body, headers=headers)
            delivery.status, delivery.answer = response.status_code, response.text
        except httpx.TransportError as error:
            delivery.status, delivery.answer = 0, type(error).__name__
        delivery.seconds = monotonic() - began


def _listens(hook: Hook, event: str) -> bool:
    return "*" in hook.events or event in hook.events


def envelope(delivery: Delivery) -> tuple[bytes, dict[str, str]]:
    """Write a delivery's body and headers, signed over the raw body."""
    text = json.dumps(delivery.payload, separators=(",", ":"), ensure_ascii=False)
    as_form = delivery.hook.content_type == "form"
    body = urlencode({"payload": text}).encode() if as_form else text.encode()
    headers = {
        "User-Agent": "GitHub-Hookshot/5a1e0f1",
        "Accept": "*/*",
        "Content-Type": "application/x-www-form-urlencoded" if as_form else "application/json",
        "X-GitHub-Event": delivery.event,
        "X-GitHub-Delivery": delivery.guid,
        "X-GitHub-Hook-ID": str(delivery.hook.id),
        "X-GitHub-Hook-Installation-Target-Type": delivery.hook.target_type,
        "X-GitHub-Hook-Installation-Target-ID": str(delivery.hook.target_id),
    }
    if delivery.hook.secret:
        key = delivery.hook.secret.encode()
        headers["X-Hub-Signature"] = "sha1=" + hmac.new(key, body, hashlib.sha1).hexdigest()
        headers["X-Hub-Signature-256"] = "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest()
    return body, headers


class PayloadSchema:
    """The published JSON Schema of webhook payloads."""

    def __init__(self, path: Path) -> None:
        self._schema: dict[str, Any] = json.loads(path.read_text())

    def faults(self, delivery: Delivery) -> Iterator[str]:
        """Name what a payload has wrong; events that the schema does not know pass."""
        root = self._schema["x-events"].get(delivery.event)
        exact = f"{delivery.event}${delivery.action or 'event'}"
        if exact in self._schema["definitions"]:
            root = f"#/definitions/{exact}"
        if root is None:
            return
        schema = {"$ref": root, "definitions": self._schema["definitions"]}
        for error in jsonschema.Draft7Validator(schema).iter_errors(delivery.payload):
            where = "/".join(map(str, error.absolute_path))
            yield f"webhook {delivery.event}.{delivery.action}: {error.message[:300]} at /{where}"
