"""Who may ask what: the decisions of the gateway, as functions of values."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote, unquote

import msgspec

from runners.gateway.dialect import Dialect, Fields, Kind
from runners.gateway.errors import Denied, WrongModel

BODY_MAX: Final = 32 << 20  # bytes; what the Messages API itself accepts
ALIASES: Final = {
    alias: re.compile(rf"claude-(?:[0-9][0-9-]*-)?{alias}(?:-[0-9][0-9-]*)?") for alias in ("sonnet", "opus", "haiku")
}

ABSOLUTE: Final = re.compile(r"[a-z][a-z0-9+.-]*://([^/?#]*)", re.IGNORECASE)
OURS: Final = ("127.0.0.1", "localhost", "[::1]")  # as the agent sees us


class Admitted(msgspec.Struct, frozen=True):
    """A request line that passed."""

    dialect: Dialect
    kind: Kind
    path: str  # what is forwarded: the dialect's own, filled in by us
    query: str
    model: str = ""  # where the path names it


def find(dialect: Dialect, path: str) -> Admitted | None:
    """Find the path of a dialect; compared as sent but for the model's segment, so `..` and escapes match nothing."""
    if kind := dialect.paths.get(path):
        return Admitted(dialect, kind, path, "") if "{" not in path else None
    for template, kind in dialect.paths.items():
        before, hole, after = template.partition("{model}")
        model = path[len(before) : len(path) - len(after)]
        if hole and model and "/" not in model and path == before + model + after:
            model = unquote(model)
            return Admitted(dialect, kind, before + quote(model, safe="") + after, "", model)
    return None


def outside_of(method: str, target: str) -> str:
    """Name the host that a request wants through us as through a proxy; empty where it wants us."""
    if method == "CONNECT":
        host = target.rpartition(":")[0] or target
    elif found := ABSOLUTE.match(target):
        host = found[1].rpartition("@")[2]
        host = re.sub(r":\d*$", "", host)
    else:
        return ""
    host = re.sub(r"[^a-z0-9._:\[\]-]", "?", host.lower().rstrip("."))[:253] or "?"
    return "" if host in OURS and method != "CONNECT" else host


def inside_of(target: str) -> str:
    """Strip scheme and host where a client takes us for a proxy on the way to ourselves."""
    return ABSOLUTE.sub("", target, count=1) or "/"


def admit(method: str, target: str, headers: Mapping[str, str], *, token: str, dialects: Iterable[Dialect]) -> Admitted:
    """Let a request line pass or raise Denied; the token is checked before anything is said about paths."""
    if not _knows(headers, token):
        raise Denied(401, "TOKEN", "this is not the token of the run")
    path, _, query = target.partition("?")
    for dialect in dialects:
        found = find(dialect, path)
        if found is None:
            continue
        if method != ("GET" if found.kind in (Kind.MODELS, Kind.LIST) else "POST"):
            raise Denied(405, "METHOD", f"{method[:16]} is not how {path} is asked")
        if found.kind is Kind.MODELS:
            return found  # what is not forwarded may be asked in any words
        if not dialect.queries.fullmatch(query):
            raise Denied(403, "PATH", f"the gateway does not forward the query of {path}")
        return msgspec.structs.replace(found, query=query)
    raise Denied(403, "PATH", "the gateway forwards model calls only")


def _knows(headers: Mapping[str, str], token: str) -> bool:
    bearer = headers.get("authorization", "")
    keys = (headers.get(name) for name in ("x-api-key", "api-key", "x-goog-api-key"))
    given = next(filter(None, keys), bearer[7:] if bearer[:7].lower() == "bearer " else "")
    return hmac.compare_digest(given.encode(), token.encode())


def read(body: bytes) -> Fields:
    """Take a JSON body apart at its top level.

    What is forwarded is put together again from this, so that no second `model` key, which another parser might
    prefer, can slip past the check of the first.
    """
    try:
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError) as problem:
        raise Denied(400, "BODY", f"the request is not a JSON object: {problem}") from None
    if any(key != "model" and key.lower() == "model" for key in fields):
        raise Denied(400, "BODY", "the request names its model twice")  # some servers ignore case
    return fields


def model_of(fields: Fields, routed: str, in_path: str = "") -> str:
    """Give the model that a request asks for; Denied unless it is the routed one, in the path as in the body."""
    if in_path and not allows(routed, in_path):
        raise WrongModel(routed, in_path)
    if in_path and "model" not in fields:
        return in_path
    try:
        asked = msgspec.json.decode(fields.get("model", b"null"), type=str)
    except msgspec.MsgspecError:
        raise Denied(400, "BODY", "the request names no model") from None
    if not allows(routed, asked):
        raise WrongModel(routed, asked)
    return asked


def allows(routed: str, asked: str) -> bool:
    """Tell whether a model is the routed one; an alias such as `sonnet` stands for every version of its family."""
    family = ALIASES.get(routed)
    return asked == routed or bool(family and family.fullmatch(asked))
