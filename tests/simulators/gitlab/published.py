"""What GitLab publishes about its API and its webhooks, for holding exchanges and payloads against it."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tests.simulators.contract import Contract, Exchange
from tests.simulators.gitlab.hooks import Delivery

API: Final = "/api/v4"
# Members that GitLab answers with and its description leaves out. Its own source names them.
UNDESCRIBED: Final = {
    "APIEntitiesMember": frozenset(
        {"id", "username", "public_email", "name", "state", "locked", "avatar_url", "web_url"}
    ),
}
# What payloads hold beyond the samples, all of it in lib/gitlab/hook_data/*_builder.rb and the webhook documentation.
NEWER: Final = {
    "issue": frozenset({"object_attributes.type", "object_attributes.customer_relations_contacts"})
    | {"object_attributes.closed_at"},
    "note": frozenset(
        {f"object_attributes.{name}" for name in ("change_position", "discussion_id", "type", "position")}
    )
    | {f"object_attributes.{name}" for name in ("original_position", "resolved_at", "resolved_by_id", "updated_by_id")}
    | {"object_attributes.resolved_by_push"},
    "merge_request": frozenset({"object_attributes.draft", "object_attributes.prepared_at"})
    | {
        "object_attributes.system",
        "object_attributes.system_action",
        "object_attributes.blocking_discussions_resolved",
    },
    "pipeline": frozenset({"builds.environment", "commit.title"}),
    "build": frozenset({"environment"}),
}
ALIKE: Final = {"project_update": "project_create"}  # built by one method, and no sample of the former is published
FREE: Final = ("changes",)  # holds whatever changed
# Sent where there is one, and nobody is ever assigned here; or not in the community edition.
OPTIONAL: Final = frozenset(
    {"assignee", "assignees", "reviewers", "source_pipeline", "issue.health_status", "issue.weight"}
)


class Published:
    """The REST description, mended, and the samples of payloads."""

    def __init__(self, folder: Path) -> None:
        self.contract = Contract(folder / "rest.openapi.json", self._mend)
        self._samples: dict[str, list[Mapping[str, Any]]] = {}
        for line in (folder / "payloads" / "index.jsonl").read_text().splitlines():
            listed = json.loads(line)
            sample = json.loads((folder.parent / listed["file"]).read_text())
            self._samples.setdefault(_kind(sample), []).append(sample)

    def _mend(self, document: dict[str, Any]) -> None:
        self._document = document
        paths = document["paths"]
        for path, methods in ADDED.items():
            for method, (sent, status) in methods.items():
                paths.setdefault(API + path, {})[method] = _operation(API + path, sent, status)
        trace = paths[f"{API}/projects/{{id}}/jobs/{{job_id}}/trace"]["get"]["responses"]["200"]
        trace["content"] = {"text/plain": {}}  # described as a job, answered as text

    def answer_faults(self, exchange: Exchange) -> Iterator[str]:
        """Name members of an answer that GitLab's description does not know."""
        match = self.contract._match(exchange)
        if match is None or not exchange.got or exchange.got_type != "application/json" or exchange.status >= 400:
            return
        responses = match[0].described["responses"]
        content = responses.get(str(exchange.status), {}).get("content", {}).get("application/json", {})
        where = f"{exchange.method} {exchange.path} -> {exchange.status}"
        for odd in sorted(set(self._odd(json.loads(exchange.got), content.get("schema", {}), ""))):
            yield f"{where}: answer has {odd}, which is not described"

    def _odd(self, value: Any, schema: Mapping[str, Any], where: str) -> Iterator[str]:
        name, schema = self._resolve(schema)
        if isinstance(value, list):
            for item in value:
                yield from self._odd(item, schema.get("items", {} if "items" in schema else schema), where)
        elif isinstance(value, dict) and (known := schema.get("properties")):
            for member, inner in value.items():
                if member in known:
                    yield from self._odd(inner, known[member], f"{where}.{member}")
                elif member not in UNDESCRIBED.get(name, ()):
                    yield f"{where}.{member}".lstrip(".")

    def _resolve(self, schema: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        name = ""
        while "$ref" in schema or "anyOf" in schema:
            if "anyOf" in schema:
                schema = schema["anyOf"][0]
                continue
            name = schema["$ref"].rsplit("/", 1)[1]
            schema = self._document["components"]["schemas"][name]
        return name, schema

    def payload_faults(self, delivery: Delivery, *, old: bool) -> Iterator[str]:
        """Name what a payload holds that no sample does, and what it lacks that every newer sample has."""
        kind = _kind(delivery.payload)
        samples = self._samples.get(ALIKE.get(kind, kind))
        if samples is None:
            yield f"webhook {kind}: no sample"
            return
        known = set().union(*map(_members, samples)) | NEWER.get(kind, frozenset()) | _shared(self._samples)
        sent = _members(delivery.payload)
        label = f"webhook {kind} {delivery.action or ''}".strip()
        for odd in sorted(sent - known):
            yield f"{label}: {odd} is in no sample"
        if not old:
            asked = set.intersection(*map(_members, samples)) - OPTIONAL
            filled = {name.rpartition(".")[0] for name in sent}  # what is null or empty lacks nothing
            for gone in sorted(name for name in asked - sent if name.rpartition(".")[0] in filled):
                yield f"{label}: {gone} is missing"


def _kind(payload: Mapping[str, Any]) -> str:
    kind = payload.get("object_kind") or payload.get("event_name") or ""
    return str(kind)


def _members(value: Any, where: str = "") -> set[str]:
    """List the paths of all members; items of lists are one."""
    if isinstance(value, list):
        return set().union(*(_members(item, where) for item in value)) if value else set()
    if not isinstance(value, dict):
        return set()
    found = set()
    for name, inner in value.items():
        path = f"{where}.{name}".lstrip(".")
        found.add(path)
        if path not in FREE:
            found |= _members(inner, path)
    return found


def _shared(samples: Mapping[str, list[Mapping[str, Any]]]) -> set[str]:
    """Lend what GitLab writes with one builder everywhere: issues, merge requests, projects inside other payloads."""
    lent: set[str] = set()
    for kind, member in (("issue", "issue"), ("merge_request", "merge_request")):
        inner = set().union(*(_members(s["object_attributes"]) for s in samples[kind])) - {"action", "oldrev"}
        newer = {name.removeprefix("object_attributes.") for name in NEWER[kind]}
        lent |= {f"{member}.{name}" for name in inner | newer}
    project = set().union(*(_members(s["project"]) for listed in samples.values() for s in listed if "project" in s))
    places = (
        "project",
        "object_attributes.source",
        "object_attributes.target",
        "merge_request.source",
        "merge_request.target",
    )
    emoji = samples["emoji"][0]
    lent |= {f"issue.{name}" for name in _members(emoji["issue"])} | {f"object_attributes.{n}" for n in emoji["issue"]}
    return lent | {f"{place}.{name}" for place in places for name in project}


TOKEN: Final = {"id", "name", "revoked", "created_at", "scopes", "user_id", "active", "expires_at"}
# Operations that GitLab documents and the extract of its description leaves out: what may be sent, and the answer.
ADDED: Final[dict[str, dict[str, tuple[tuple[str, ...] | None, int]]]] = {
    "/projects/{id}/issues/{iid}/resource_label_events": {"get": (None, 200)},
    "/projects/{id}/repository/merge_base": {"get": (None, 200)},
    "/projects/{id}/repository/compare": {"get": (None, 200)},
    "/projects/{id}/repository/tree": {"get": (None, 200)},
    "/projects/{id}/repository/commits": {"get": (None, 200)},
    "/projects/{id}/protected_branches": {"get": (None, 200)},
    "/projects/{id}/variables": {"get": (None, 200)},
    "/projects/{id}/protected_branches/{name}": {"get": (None, 200)},
    "/groups/{id}/members/all/{user_id}": {"get": (None, 200)},
    "/projects/{id}/merge_requests/{iid}/pipelines": {"post": ((), 201)},
    "/projects/{id}/pipeline": {"post": (("ref", "variables"), 201)},
    "/projects/{id}/pipelines/{pipeline_id}/cancel": {"post": (None, 200)},
    "/users/{id}": {"get": (None, 200)},
    "/personal_access_tokens/self": {"get": (None, 200)},
    "/projects/{id}/merge_requests/{iid}/approve": {"post": (("sha",), 201)},
    "/projects/{id}/merge_requests/{iid}/unapprove": {"post": ((), 201)},
    "/projects/{id}/merge_requests/{iid}/merge": {"put": (("sha", "should_remove_source_branch", "squash"), 200)},
    "/projects/{id}/issues/{iid}/notes/{note_id}/award_emoji": {"get": (None, 200)},
    "/projects/{id}/merge_requests/{iid}/notes/{note_id}/award_emoji": {"get": (None, 200)},
    "/projects/{id}/issues/{iid}/discussions": {"get": (None, 200), "post": (("body",), 201)},
    "/projects/{id}/hooks/{hook_id}": {"get": (None, 200), "delete": (None, 204)},
    "/groups/{id}/hooks": {"get": (None, 200)},
}


# What may be asked of them.
ASKED: Final[dict[str, tuple[str, ...]]] = {
    "/projects/{id}/repository/merge_base": ("refs",),
    "/projects/{id}/repository/compare": ("from", "to", "from_project_id", "straight", "unidiff"),
    "/projects/{id}/repository/tree": ("ref", "path", "recursive", "pagination", "page_token"),
    "/projects/{id}/repository/commits": ("ref_name", "path", "since", "until", "author", "all", "order", "trailers"),
    "/projects/{id}/protected_branches": ("search",),
}


def _operation(path: str, sent: tuple[str, ...] | None, status: int) -> dict[str, Any]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    made: dict[str, Any] = {
        "parameters": [
            *({"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in names),
            *({"name": n, "in": "query", "schema": {}} for n in ASKED.get(path.removeprefix(API), ())),
        ],
        "responses": {
            str(code): {"description": "", "content": {"application/json": {"schema": {}}}}
            for code in (status, 400, 406)
        },
    }
    if status == 204 or path.endswith("/unapprove"):
        del made["responses"][str(status)]["content"]
    if sent is not None:
        schema = {"type": "object", "properties": {name: {} for name in sent}}
        made["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    return made


@functools.cache
def published(folder: Path) -> Published:
    """Load what GitLab publishes, once."""
    return Published(folder)
