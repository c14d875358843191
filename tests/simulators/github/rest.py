"""The frame of the REST API: routes, permissions, redirects, pages, errors; `rest_*.py` fill it."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.simulators.github.access import Caller, Refusal, identify
from tests.simulators.github.actions import Actions
from tests.simulators.github.hooks import Courier
from tests.simulators.github.hosting import Hosting
from tests.simulators.github.shapes import Shapes
from tests.simulators.github.shapes_accounts import Json
from tests.simulators.github.world import Comment, Issue, Pull, Repository, World

DOCS: Final = "https://docs.github.com/rest"
WITH_SLASHES: Final = frozenset({"path", "ref", "branch", "basehead"})
BY_ID: Final = re.compile(r"/repositories/(\d+)(/.*)?")
TEAM_BY_ID: Final = re.compile(r"/organizations/(\d+)/team/(\d+)(/.*)")
LARGEST_PAGE: Final = 100


@dataclass(frozen=True)
class GitHubParts:
    """What handlers work with."""

    world: World
    shapes: Shapes
    actions: Actions
    hosting: Hosting
    courier: Courier


@dataclass(frozen=True)
class Call:
    """One request to the API, read."""

    parts: GitHubParts
    caller: Caller
    params: dict[str, str]
    query: dict[str, str]
    body: Json
    found: Repository | None = None

    @property
    def repo(self) -> Repository:
        """Give the repository in the path."""
        assert self.found is not None
        return self.found

    def number(self, name: str) -> int:
        """Read a number in the path."""
        return int(self.params[name])

    def issue(self, name: str = "number") -> Issue:
        """Find the issue (or pull request) in the path; follow a transfer, name a deletion."""
        number = self.number(name)
        if number in self.repo.gone:
            self._gone(number)
        if number not in self.repo.issues:
            raise Refusal(404, "Not Found")
        return self.repo.issues[number]

    def _gone(self, number: int) -> None:
        went = self.repo.gone[number]
        if went is None:
            raise Refusal(410, "This issue was deleted")
        target = f"{self.parts.shapes.api}/repositories/{went[0].id}/issues/{went[1]}"
        raise Refusal(301, "Moved Permanently", headers={"location": target})

    def pull(self) -> tuple[Issue, Pull]:
        """Find the pull request in the path."""
        issue = self.issue()
        if issue.pull is None:
            raise Refusal(404, "Not Found")
        return issue, issue.pull

    def comment(self) -> Comment:
        """Find the comment in the path."""
        wanted = self.number("comment")
        for issue in self.repo.issues.values():
            for comment in issue.comments:
                if comment.id == wanted:
                    return comment
        raise Refusal(404, "Not Found")

    def commit(self, rev: str) -> str:
        """Resolve a branch, tag or commit id."""
        for candidate in (f"refs/heads/{rev}", f"refs/tags/{rev}", rev):
            if sha := self.parts.hosting.sha(self.repo, f"{candidate}^{{commit}}"):
                return sha
        raise Refusal(422, f"No commit found for SHA: {rev}")


@dataclass(frozen=True)
class Made:
    """An answer with another status than 200."""

    status: int
    body: Json | None = None


@dataclass(frozen=True)
class Page:
    """A list, answered page by page; `wrap` names the member where it is not bare."""

    items: list[Json]
    wrap: str = ""


Answer = Json | Made | Page | list[Json]
Handler = Callable[[Call], Answer]


@dataclass(frozen=True)
class Route:
    """One operation: `needs` lists permissions of which one is enough, or `user`, `app`, `any`."""

    method: str
    pattern: re.Pattern[str]
    template: str
    needs: tuple[str, ...]
    handler: Handler

    @property
    def literal(self) -> int:
        """Count the fixed characters: the more, the better the match."""
        return len(re.sub(r"\{\w+\}", "", self.template))


ROUTES: list[Route] = []


def route(method: str, template: str, *needs: str) -> Callable[[Handler], Handler]:
    """Register a handler; `{name}` is one segment, `path`, `ref` and `branch` may be several."""
    shape = re.sub(r"\{(\w+)\}", lambda m: f"(?P<{m[1]}>{'.+' if m[1] in WITH_SLASHES else '[^/]+'})", template)

    def register(handler: Handler) -> Handler:
        ROUTES.append(Route(method, re.compile(shape), template, needs, handler))
        return handler

    return register


class Rest:
    """The API as a Starlette endpoint."""

    def __init__(self, parts: GitHubParts, base: str) -> None:
        self._parts = parts
        self._base = base
        self._routes = sorted(ROUTES, key=lambda candidate: -candidate.literal)

    async def endpoint(self, request: Request) -> Response:
        """Answer one request."""
        try:
            caller = identify(self._parts.world, request.headers.get("authorization", ""))
            body = await self._body(request)
            answer = self._answer(request, caller, body)
        except Refusal as refusal:
            answer = self._refusal(refusal)
        for name, value in self._limits().items():
            answer.headers[name] = value
        return answer

    def _answer(self, request: Request, caller: Caller, body: Json) -> Response:
        raw = request.scope["raw_path"].decode("latin1").removeprefix(self._base)
        path = self.by_name(raw)
        for candidate in self._routes:
            found = candidate.pattern.fullmatch(path)
            if found and candidate.method == request.method:
                params = {name: unquote(value) for name, value in found.groupdict().items()}
                repo = self._repository(params, raw) if "{owner}" in candidate.template else None
                self._authorise(candidate, caller, repo)
                call = Call(self._parts, caller, params, dict(request.query_params), body, repo)
                return self._respond(candidate.handler(call), request)
        raise Refusal(404, "Not Found")

    def by_name(self, path: str) -> str:
        """Map `/repositories/{id}/...`, where GitHub's redirects lead, and teams by number, to addresses."""
        if found := BY_ID.fullmatch(path):
            repo = self._parts.world.repositories.get(int(found[1]))
            return f"/repos/{repo.full_name}{found[2] or ''}" if repo else path
        if found := TEAM_BY_ID.fullmatch(path):
            team = self._parts.world.teams.get(int(found[2]))
            is_theirs = team is not None and team.org.id == int(found[1])
            return (
                f"/orgs/{team.org.login}/teams/{team.slug}{found[3]}"
                if team and is_theirs
                else f"/orgs/-/teams/-{found[3]}"
            )
        return path

    def _repository(self, params: dict[str, str], raw: str) -> Repository:
        world, name = self._parts.world, f"{params['owner']}/{params['name']}"
        if repo := world.find_repository(params["owner"], params["name"]):
            return repo
        if (moved := world.moved.get(name.lower())) is None:
            raise Refusal(404, "Not Found")
        rest = raw.split("/", 4)[4:]
        target = "/".join([f"{self._parts.shapes.api}/repositories/{moved}", *rest])
        raise Refusal(301, "Moved Permanently", headers={"location": target})

    def _authorise(self, candidate: Route, caller: Caller, repo: Repository | None) -> None:
        if "app" in candidate.needs:
            if not caller.is_app:
                raise Refusal(401, "A JSON web token could not be decoded")
            return
        if caller.is_app:
            raise Refusal(401, "Bad credentials")
        if "user" in candidate.needs:
            if caller.installation is not None:
                raise Refusal(403, "Resource not accessible by integration")
            assert caller.user
        if repo is not None:
            if not caller.sees(repo):
                raise Refusal(404, "Not Found")
            if not caller.may(repo, *candidate.needs):
                wanted = "; ".join(need.replace(":", "=") for need in candidate.needs)
                headers = {"x-accepted-github-permissions": wanted}
                raise Refusal(403, "Resource not accessible by integration", headers=headers)

    async def _body(self, request: Request) -> Json:
        raw = await request.body()
        if not raw:
            return {}
        try:
            body = json.loads(raw)
        except ValueError as error:
            raise Refusal(400, "Problems parsing JSON") from error
        if not isinstance(body, dict):
            raise Refusal(422, "Invalid request")
        return body

    def _respond(self, answer: Answer, request: Request) -> Response:
        if isinstance(answer, Made):
            return Response(status_code=answer.status) if answer.body is None else _json(answer.body, answer.status)
        if isinstance(answer, Page):
            return self._page(answer, request)
        return _json(answer)

    def _page(self, page: Page, request: Request) -> Response:
        size = min(int(request.query_params.get("per_page", 30)), LARGEST_PAGE)
        number = max(1, int(request.query_params.get("page", 1)))
        shown = page.items[(number - 1) * size : number * size]
        response = _json({"total_count": len(page.items), page.wrap: shown} if page.wrap else shown)
        last = -(-len(page.items) // size)
        here = f"{self._parts.shapes.api}{request.scope['raw_path'].decode('latin1').removeprefix(self._base)}"
        links = {"next": number + 1, "last": last} if number < last else {}
        parts = [
            f'<{here}?{urlencode({**request.query_params, "page": page_number})}>; rel="{rel}"'
            for rel, page_number in links.items()
        ]
        if parts:
            response.headers["link"] = ", ".join(parts)
        return response

    def _refusal(self, refusal: Refusal) -> Response:
        if 300 <= refusal.status < 400:
            body: Json = {"message": refusal.message, "url": refusal.headers["location"], "documentation_url": DOCS}
        else:
            body = {"message": refusal.message, "documentation_url": DOCS, "status": str(refusal.status)}
            body |= {"errors": refusal.errors} if refusal.errors else {}
        response = _json(body, refusal.status)
        response.headers.update(refusal.headers)
        return response

    def _limits(self) -> dict[str, str]:
        now = self._parts.world.now()
        return {
            "date": now.strftime("%a, %d %b %Y %H:%M:%S GMT"),
            "x-ratelimit-limit": "5000",
            "x-ratelimit-remaining": "4999",
            "x-ratelimit-reset": str(int(now.timestamp()) + 3600),
            "x-github-api-version-selected": "2022-11-28",
        }


def _json(body: Any, status: int = 200) -> JSONResponse:
    return JSONResponse(body, status, media_type="application/json; charset=utf-8")


def want(body: Json, *names: str) -> Iterator[Any]:
    """Read required members."""
    for name in names:
        if body.get(name) is None:
            raise Refusal(422, f'Invalid request. "{name}" wasn\'t supplied.')
        yield body[name]


Endpoint = Callable[[Request], Awaitable[Response]]
