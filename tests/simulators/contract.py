"""Hold HTTP exchanges against a forge's published OpenAPI description.

A `Recorder` stands in front of a simulated forge and keeps every exchange; `Recorder.faults()` validates them later,
so that checking costs the conversation no time. Requests are held strictly: members and query parameters that the
description does not know are faults, because a forge would silently ignore them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlsplit

from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from werkzeug.datastructures import Headers, ImmutableMultiDict

METHODS: Final = frozenset({"get", "put", "post", "patch", "delete", "head"})
WITH_SLASHES: Final = frozenset({"path", "ref", "basehead", "branch"})  # sent bare: git/refs/heads/a/b
PAGING: Final = frozenset({"page", "per_page"})
# Any operation may end like this, whatever its description lists.
ANYWHERE: Final = frozenset({301, 302, 307, 308, 401, 403, 404, 405, 409, 410, 422, 429, 500, 502, 503})
EMPTY: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


@dataclass(frozen=True)
class Exchange:
    """One request with its answer; `path` is as sent, without the base URL's."""

    method: str
    path: str
    query: str
    sent_type: str
    sent: bytes
    status: int
    got_type: str
    got: bytes


@dataclass(frozen=True)
class Operation:
    """One operation of the description, with the pattern of the paths that mean it."""

    template: str
    pattern: re.Pattern[str]
    described: Mapping[str, Any]
    parameters: frozenset[str]

    @property
    def literal(self) -> int:
        """Count the fixed characters: the more, the better the match."""
        return len(re.sub(r"\{\w+\}", "", self.template))


@dataclass
class _Asked:
    """openapi-core's Request protocol over plain values."""

    host_url: str
    path: str
    method: str
    body: bytes | None
    content_type: str
    parameters: RequestParameters


@dataclass
class _Answered:
    """openapi-core's Response protocol over plain values."""

    status_code: int
    data: bytes
    content_type: str
    headers: Headers = field(default_factory=Headers)


class Contract:
    """A published description, made strict about what is sent."""

    HOST: Final = "http://forge.invalid"

    def __init__(self, description: Path, mend: Callable[[dict[str, Any]], object] | None = None) -> None:
        document = json.loads(description.read_text())
        if mend is not None:
            mend(document)  # publishers make mistakes: each is named where it is mended
        document["servers"] = [{"url": self.HOST}]
        self._document = document
        self._operations: dict[str, list[Operation]] = {method: [] for method in METHODS}
        for template, item in document["paths"].items():
            for method in METHODS & item.keys():
                self._operations[method].append(self._operation(template, item, item[method]))
                _forbid_unknown_members(item[method])
        for operations in self._operations.values():
            operations.sort(key=lambda operation: -operation.literal)
        unchecked = Config(spec_validator_cls=None)  # type: ignore[arg-type] # documented so; it saves a second
        self._api = OpenAPI.from_dict(document, config=unchecked)

    def faults(self, exchange: Exchange) -> Iterator[str]:
        """Name everything in an exchange that the description does not allow."""
        where = f"{exchange.method} {exchange.path} -> {exchange.status}"
        match = self._match(exchange)
        if match is None:
            yield f"{where}: no such operation"
            return
        operation, path = match
        query = parse_qsl(exchange.query, keep_blank_values=True)
        if odd := {name.removesuffix("[]") for name, _ in query} - operation.parameters - PAGING:
            yield f"{where}: unknown query parameters {sorted(odd)}"
        asked = _Asked(
            self.HOST,
            path,
            exchange.method.lower(),
            exchange.sent or None,
            exchange.sent_type or "application/json",
            RequestParameters(query=ImmutableMultiDict(query), header=Headers(), cookie=ImmutableMultiDict()),
        )
        yield from _complaints(f"{where}: request", lambda: self._api.validate_request(asked))
        if not self._is_plain(operation, exchange):
            answered = _Answered(exchange.status, exchange.got, exchange.got_type)
            yield from _complaints(f"{where}: answer", lambda: self._api.validate_response(asked, answered))

    def _is_plain(self, operation: Operation, exchange: Exchange) -> bool:
        documented = str(exchange.status) in operation.described["responses"]
        if documented and (exchange.status in EMPTY or not exchange.got):
            return exchange.status in EMPTY
        return not documented and exchange.status in ANYWHERE

    def _match(self, exchange: Exchange) -> tuple[Operation, str] | None:
        for operation in self._operations[exchange.method.lower()]:
            if found := operation.pattern.fullmatch(exchange.path):
                path = operation.template
                for name, value in found.groupdict().items():
                    path = path.replace("{" + name + "}", quote(value, safe="%:@!$&'()*+,;=~"))
                return operation, path
        return None

    def _operation(self, template: str, item: Mapping[str, Any], described: Mapping[str, Any]) -> Operation:
        shape = re.sub(r"\{(\w+)\}", lambda m: f"(?P<{m[1]}>{'.+' if m[1] in WITH_SLASHES else '[^/]+'})", template)
        listed = [*described.get("parameters", ()), *item.get("parameters", ())]
        names = frozenset(self._resolve(parameter)["name"] for parameter in listed)
        return Operation(template, re.compile(shape), described, names)

    def _resolve(self, part: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in part:
            _, _, section, name = part["$ref"].split("/", 3)
            part = self._document["components"][section][name]
        return part


def _forbid_unknown_members(operation: Mapping[str, Any]) -> None:
    for media in operation.get("requestBody", {}).get("content", {}).values():
        schema = media.get("schema", {})
        open_ended = schema.keys() & {"additionalProperties", "anyOf", "oneOf", "allOf"}
        if "properties" in schema and not open_ended:
            schema["additionalProperties"] = False


def _complaints(where: str, validate: Callable[[], object]) -> Iterator[str]:
    try:
        validate()
    except Exception as error:  # noqa: BLE001 - openapi-core raises a wide tree of its own errors
        causes = getattr(error.__cause__, "schema_errors", ())
        detail = [f"{cause.message[:300]} at /{'/'.join(map(str, cause.absolute_path))}" for cause in causes]
        yield f"{where}: {'; '.join(detail) or repr(error)}"


class Recorder:
    """ASGI middleware that keeps what passes below `base`; `rename` maps paths that the description does not list."""

    def __init__(self, app: ASGIApp, base: str = "", rename: Callable[[str], str] = str) -> None:
        self._app = app
        self._base = base
        self._rename = rename
        self._fresh: list[Exchange] = []
        self._found: list[str] = []
        self.exchanges: list[Exchange] = []

    def faults(self, contract: Contract) -> list[str]:
        """Validate what has not been validated yet and name all faults so far."""
        fresh, self._fresh = self._fresh, []
        for exchange in fresh:
            self._found.extend(contract.faults(exchange))
        return list(self._found)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and keep it with its answer."""
        raw = scope.get("raw_path", b"").decode("latin1")
        if scope["type"] != "http" or not raw.startswith(f"{self._base}/"):
            await self._app(scope, receive, send)
            return
        sent, got, status, got_type = bytearray(), bytearray(), 0, ""

        async def listen() -> Message:
            message = await receive()
            sent.extend(message.get("body", b""))
            return message

        async def tell(message: Message) -> None:
            nonlocal status, got_type
            if message["type"] == "http.response.start":
                status, got_type = message["status"], _media_type(message["headers"])
            got.extend(message.get("body", b""))
            await send(message)

        await self._app(scope, listen, tell)
        path = self._rename(urlsplit(raw.removeprefix(self._base)).path)
        query, sent_type = scope["query_string"].decode("latin1"), _media_type(scope["headers"])
        exchange = Exchange(scope["method"], path, query, sent_type, bytes(sent), status, got_type, bytes(got))
        self._fresh.append(exchange)
        self.exchanges.append(exchange)


def _media_type(headers: list[tuple[bytes, bytes]]) -> str:
    values = [value for name, value in headers if name.lower() == b"content-type"]
    return values[-1].decode("latin1").split(";")[0].strip() if values else ""
