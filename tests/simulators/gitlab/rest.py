"""The frame of the REST API: routes on the raw path, scopes, levels, pages, errors; `rest_*.py` fill it."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from tests.simulators.gitlab.access import (
    FORBIDDEN,
    Refusal,
    identify,
    missing,
    needs_scope,
    refused,
    sees,
    sees_note,
    sees_subject,
)
from tests.simulators.gitlab.builds import Actions
from tests.simulators.gitlab.hooks import CHAIN, Courier
from tests.simulators.gitlab.hosting import Hosting
from tests.simulators.gitlab.shapes import Shapes
from tests.simulators.gitlab.shapes_accounts import Json
from tests.simulators.gitlab.things import MergeRequest, Note, Subject
from tests.simulators.gitlab.world import LEVELS, Project, Token, User, World

BASE: Final = "/api/v4"
READS: Final = frozenset({"api", "read_api"})
WRITES: Final = frozenset({"api"})
FILES: Final = READS | {"read_repository"}
LARGEST_PAGE: Final = 100


@dataclass(frozen=True)
class GitLabParts:
    """What handlers work with."""

    world: World
    shapes: Shapes
    actions: Actions
    hosting: Hosting
    courier: Courier


@dataclass(frozen=True)
class Call:
    """One request to the API, read."""

    parts: GitLabParts
    token: Token | None
    params: dict[str, str]
    query: dict[str, str]
    body: Json
    found: Project | None = None
    lists: dict[str, list[str]] = field(default_factory=dict)  # query members that come several times

    @property
    def user(self) -> User:
        """Name the account that acts."""
        if self.token is None:
            raise refused(401, "401 Unauthorized")
        return self.token.user

    @property
    def project(self) -> Project:
        """Give the project in the path."""
        assert self.found is not None
        return self.found

    def number(self, name: str) -> int:
        """Read a number in the path."""
        if not self.params[name].isdigit():
            raise Refusal(400, {"error": f"{name} is invalid"})
        return int(self.params[name])

    def want(self, *names: str) -> list[Any]:
        """Read required members."""
        if gone := [name for name in names if self.body.get(name) is None]:
            raise Refusal(400, {"error": ", ".join(f"{name} is missing" for name in gone)})
        return [self.body[name] for name in names]

    def names(self, member: str) -> list[str]:
        """Read labels: an array, or separated by commas."""
        given = self.body.get(member) or []
        words = given.split(",") if isinstance(given, str) else given
        return [word.strip() for word in words if word.strip()]

    def at_least(self, level: str) -> None:
        """Refuse those below a level."""
        if self.project.level(self.user) < LEVELS[level]:
            raise refused(403, FORBIDDEN)

    def issue(self) -> Subject:
        """Find the issue in the path, if the caller may see it."""
        found = self.project.issues.get(self.number("iid"))
        if found is None or not sees_subject(self.user, found):
            raise missing("Issue") if "note" not in self.params else missing()
        return found

    def merge_request(self) -> MergeRequest:
        """Find the merge request in the path."""
        found = self.project.merge_requests.get(self.number("iid"))
        if found is None:
            raise missing()
        return found

    def subject(self) -> Subject:
        """Find whichever of both the path names."""
        return self.merge_request() if self.params["kind"] == "merge_requests" else self.issue()

    def note(self) -> Note:
        """Find the note in the path."""
        wanted = self.number("note")
        note = next((note for note in self.subject().notes if note.id == wanted), None)
        if note is None or not sees_note(self.user, note):
            raise missing("Note")
        return note

    def commit(self, rev: str, what: str = "Commit") -> str:
        """Resolve a branch, tag or commit id."""
        if sha := self.parts.hosting.resolve(self.project, rev):
            return sha
        raise missing(what)


@dataclass(frozen=True)
class Made:
    """An answer with another status than 200; no body, JSON, or (bytes) raw content."""

    status: int
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Page:
    """A list, answered page by page."""

    items: list[Json]


Answer = Json | Made | Page
Handler = Callable[[Call], Answer | Awaitable[Answer]]


@dataclass(frozen=True)
class Route:
    """One operation: the scopes of which one is enough, and the weakest access level."""

    method: str
    pattern: re.Pattern[str]
    template: str
    level: str
    scopes: frozenset[str]
    handler: Handler


ROUTES: list[Route] = []
PROJECT: Final = "/projects/{id}"


def route(
    method: str, template: str, level: str = "", scopes: frozenset[str] | None = None
) -> Callable[[Handler], Handler]:
    """Register a handler; `{name}` is one segment of the raw path, `{kind}` issues or merge requests."""
    shape = template.replace("{kind}", "(?P<kind>issues|merge_requests)")
    shape = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", shape)

    def register(handler: Handler) -> Handler:
        good_for = scopes or (READS if method == "GET" else WRITES)
        ROUTES.append(Route(method, re.compile(shape), template, level, good_for, handler))
        return handler

    return register


class Rest:
    """The API as a Starlette endpoint."""

    def __init__(self, parts: GitLabParts, base: str) -> None:
        self._parts = parts
        self._base = base

    async def endpoint(self, request: Request) -> Response:
        """Answer one request."""
        chain = CHAIN.set(request.headers.get("x-gitlab-event-uuid", ""))
        try:
            body = await self._body(request)
            answer = await self._answer(request, body)
            return self._respond(answer, request)
        except Refusal as refusal:
            if isinstance(refusal.body, str):
                return PlainTextResponse(refusal.body, refusal.status, refusal.headers)
            return JSONResponse(refusal.body, refusal.status, refusal.headers)
        finally:
            CHAIN.reset(chain)

    async def _answer(self, request: Request, body: Json) -> Answer:
        path = request.scope["raw_path"].decode("latin1").partition("?")[0].removeprefix(self._base)
        token = identify(self._parts.world, request.headers)
        for candidate in ROUTES:
            found = candidate.pattern.fullmatch(path)
            if found and candidate.method == request.method:
                params = {name: unquote(value) for name, value in found.groupdict().items()}
                project = self._authorise(candidate, token, params)
                query = request.query_params
                lists = {name: query.getlist(name) for name in query if name.endswith("[]")}
                call = Call(self._parts, token, params, dict(query), body, project, lists)
                answer = candidate.handler(call)
                return await answer if inspect.isawaitable(answer) else answer
        raise missing()

    def _authorise(self, candidate: Route, token: Token | None, params: dict[str, str]) -> Project | None:
        if token is not None:
            needs_scope(token, candidate.scopes)
        elif candidate.method != "GET" or not candidate.template.startswith(PROJECT):
            raise refused(401, "401 Unauthorized")
        if not candidate.template.startswith(PROJECT):
            return None
        project = self._parts.world.find_project(params["id"])
        user = token.user if token else None
        if project is None or not sees(user, project) or (token and not token.reaches(project)):
            raise missing("Project")
        if candidate.level and (user is None or project.level(user) < LEVELS[candidate.level]):
            raise refused(403, FORBIDDEN) if user else refused(401, "401 Unauthorized")
        return project

    async def _body(self, request: Request) -> Json:
        raw = await request.body()
        if not raw:
            return {}
        if "urlencoded" in request.headers.get("content-type", ""):
            return dict(parse_qsl(raw.decode(), keep_blank_values=True))
        try:
            body = json.loads(raw)
        except ValueError as error:
            raise refused(400, "400 Bad request") from error
        if not isinstance(body, dict):
            raise refused(400, "400 Bad request")
        return body

    def _respond(self, answer: Answer, request: Request) -> Response:
        if isinstance(answer, Page):
            return self._page(answer, request)
        if not isinstance(answer, Made):
            return JSONResponse(answer)
        headers = dict(answer.headers)
        if answer.body is None:
            return Response(status_code=answer.status, headers=headers)
        if isinstance(answer.body, bytes):
            return Response(answer.body, answer.status, headers, media_type="text/plain")
        return JSONResponse(answer.body, answer.status, headers)

    def _page(self, page: Page, request: Request) -> Response:
        query = request.query_params
        if not all(query.get(name, "1").isdigit() for name in ("page", "per_page")):
            raise Refusal(400, {"error": "page is invalid"})
        size = max(1, min(int(query.get("per_page", 20)), LARGEST_PAGE))
        number = max(1, int(query.get("page", 1)))
        last = max(1, -(-len(page.items) // size))
        response = JSONResponse(page.items[(number - 1) * size : number * size])
        following = number + 1 if number < last else None
        here = f"{self._parts.shapes.web}{BASE}{request.scope['raw_path'].decode('latin1').removeprefix(self._base)}"
        links = {"next": following, "first": 1, "last": last}
        response.headers["link"] = ", ".join(
            f'<{here}?{urlencode({**query, "page": to, "per_page": size})}>; rel="{rel}"'
            for rel, to in links.items()
            if to
        )
        counts: dict[str, int | str] = {"total": len(page.items), "total-pages": last, "page": number, "per-page": size}
        counts |= {"next-page": following or "", "prev-page": number - 1 or ""}
        for name, value in counts.items():
            response.headers[f"x-{name}"] = str(value)
        return response
