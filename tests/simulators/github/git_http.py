"""Git over smart HTTP with GitHub's credentials: Basic authentication by token, any user name."""

from __future__ import annotations

import asyncio
import gzip

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from tests.simulators.github.access import Caller, Refusal, identify
from tests.simulators.github.actions import Actions
from tests.simulators.github.hosting import SERVICES, Hosting
from tests.simulators.github.world import Repository, World


class GitHttp:
    """Git's own backend behind our door."""

    def __init__(self, world: World, hosting: Hosting, actions: Actions) -> None:
        self._world = world
        self._hosting = hosting
        self._actions = actions

    async def endpoint(self, request: Request) -> Response:
        """Answer one request of a git client."""
        try:
            return await self._answer(request)
        except Refusal as refusal:
            challenge = {"www-authenticate": 'Basic realm="GitHub"'} if refusal.status == 401 else {}
            return PlainTextResponse(refusal.message, refusal.status, headers=challenge)

    async def _answer(self, request: Request) -> Response:
        path = request.path_params["service"]
        service = request.query_params.get("service", "") if path == "info/refs" else path
        if service not in SERVICES:
            raise Refusal(404, "Not Found")
        caller = identify(self._world, request.headers.get("authorization", ""))
        repo = self._repository(request)
        writes = service == "git-receive-pack"
        self._authorise(caller, repo, writes=writes)
        body = await request.body()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        before = self._hosting.refs(repo) if writes and request.method == "POST" else None
        user = caller.token.user if caller.token else None
        cgi = {
            "REQUEST_METHOD": request.method,
            "PATH_INFO": f"/{repo.git.name}/{path}",
            "QUERY_STRING": request.url.query,
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
        }
        answer = await asyncio.to_thread(self._hosting.serve, repo, user, cgi, body)
        if before is not None:
            self._actions.pushed(repo, caller.user, before)
        return _from_cgi(answer)

    def _repository(self, request: Request) -> Repository:
        owner, name = request.path_params["owner"], request.path_params["name"].removesuffix(".git")
        repo = self._world.find_repository(owner, name)
        repo = repo or self._world.repositories.get(self._world.moved.get(f"{owner}/{name}".lower(), 0))
        if repo is None:
            raise Refusal(401, "Repository not found.")  # GitHub asks for credentials before it says so
        return repo

    def _authorise(self, caller: Caller, repo: Repository, *, writes: bool) -> None:
        if caller.token is None and (writes or repo.private):
            raise Refusal(401, "Authentication required")
        if not caller.sees(repo) or not caller.may(repo, "contents:read"):
            raise Refusal(404, "Repository not found.")
        if writes and not caller.may(repo, "contents:write"):
            raise Refusal(403, f"Permission to {repo.full_name}.git denied to {caller.user.login}.")


def _from_cgi(answer: bytes) -> Response:
    head, _, body = answer.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode("latin1").split("\r\n"))
    status = int(headers.pop("Status", "200").split()[0])
    return Response(body, status, headers)
