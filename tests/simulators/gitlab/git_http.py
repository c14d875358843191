"""Git over smart HTTP with GitLab's credentials: Basic authentication by token, any user name."""

from __future__ import annotations

import asyncio
import gzip
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from tests.simulators.gitlab.access import GIT_SCOPES, Refusal, from_basic, sees
from tests.simulators.gitlab.builds import Actions
from tests.simulators.gitlab.hosting import SERVICES, Hosting
from tests.simulators.gitlab.world import LEVELS, Project, Token, World

PATH: Final = re.compile(r"/(?P<project>.+?)\.git/(?P<service>info/refs|git-upload-pack|git-receive-pack)")
DENIED: Final = (
    "HTTP Basic: Access denied. If a password was provided for Git authentication, the password was incorrect"
)


@dataclass(frozen=True)
class GitRequest:
    """One request of a git client, and what became of it; `user` is empty where it came without credentials."""

    method: str
    path: str
    service: str
    user: str
    status: int
    options: tuple[str, ...] = ()  # of a push


class GitHttp:
    """Git's own backend behind our door."""

    def __init__(self, world: World, hosting: Hosting, actions: Actions, root: str) -> None:
        self._world = world
        self._hosting = hosting
        self._actions = actions
        self._root = root
        self.requests: list[GitRequest] = []

    async def endpoint(self, request: Request) -> Response:
        """Answer one request of a git client."""
        path = request.scope["raw_path"].decode("latin1").partition("?")[0].removeprefix(self._root)
        found = PATH.fullmatch(unquote(path))
        if found is None:
            return PlainTextResponse("The page could not be found", 404)
        service = request.query_params.get("service", "") if found["service"] == "info/refs" else found["service"]
        user = ""
        options: tuple[str, ...] = ()
        try:
            token = from_basic(self._world, request.headers.get("authorization", ""))
            user = token.user.username if token else ""
            project = self._authorise(token, found["project"], service)
            response, options = await self._serve(request, project, token, found["service"], service)
        except Refusal as refusal:
            response = self._refuse(refusal)
        self.requests.append(GitRequest(request.method, path, service, user, response.status_code, options))
        return response

    def _refuse(self, refusal: Refusal) -> Response:
        challenge = {"www-authenticate": 'Basic realm="GitLab"'} if refusal.status == 401 else {}
        text = refusal.body if isinstance(refusal.body, str) else DENIED
        return PlainTextResponse(text, refusal.status, headers=challenge)

    def _authorise(self, token: Token | None, path: str, service: str) -> Project:
        if service not in SERVICES:
            raise Refusal(403, "Git access over HTTP is not allowed")
        project, writes = self._world.find_project(path), service == "git-receive-pack"
        if token is None:
            # Private or not there: GitLab asks for credentials before it says which.
            if project is None or project.visibility != "public" or writes:
                raise Refusal(401, DENIED)
            return project
        if not token.scopes & GIT_SCOPES["write" if writes else "read"]:
            raise Refusal(403, "You are not allowed to access this project with this token's scopes.")
        if project is None or not sees(token.user, project) or not token.reaches(project):
            raise Refusal(404, "The project you were looking for could not be found or you don't have permission")
        needed = LEVELS["developer" if writes else "reporter"]
        if project.level(token.user) < needed and (writes or project.visibility == "private"):
            raise Refusal(403, f"You are not allowed to {'push' if writes else 'download'} code to this project.")
        return project

    async def _serve(
        self, request: Request, project: Project, token: Token | None, path: str, service: str
    ) -> tuple[Response, tuple[str, ...]]:
        body = await request.body()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        pushes = service == "git-receive-pack" and request.method == "POST"
        before = self._hosting.refs(project) if pushes else None
        cgi = {
            "REQUEST_METHOD": request.method,
            "PATH_INFO": f"/{project.git.name}/{path}",
            "QUERY_STRING": request.url.query,
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
        }
        user = token.user if token else None
        answer = await asyncio.to_thread(self._hosting.serve, project, user, cgi, body)
        options: tuple[str, ...] = ()
        if before is not None and user is not None:
            options = self._hosting.push_options(project)
            self._actions.pushed(project, user, before, options)
        return _from_cgi(answer), options


def _from_cgi(answer: bytes) -> Response:
    head, _, body = answer.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode("latin1").split("\r\n"))
    status = int(headers.pop("Status", "200").split()[0])
    return Response(body, status, headers)
