"""The simulated GitHub as a server: own thread, own loop, REST below `/api/v3` as on Enterprise, git beside it."""

from __future__ import annotations

import asyncio
import functools
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import uvicorn
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.routing import Route

from bot.model.event import ForgeKind, Repo
from bot.settings import GitHub as Table
from tests.simulators.contract import Exchange, Recorder
from tests.simulators.github import rest_app, rest_code, rest_gates, rest_issues, rest_pulls, rest_repos
from tests.simulators.github.actions import Actions
from tests.simulators.github.faults import Fault, Faults
from tests.simulators.github.git_http import GitHttp
from tests.simulators.github.hooks import Courier, Delivery
from tests.simulators.github.hosting import Hosting
from tests.simulators.github.people import Person
from tests.simulators.github.published import published
from tests.simulators.github.rest import GitHubParts, Rest
from tests.simulators.github.rights import Team
from tests.simulators.github.shapes import Shapes
from tests.simulators.github.world import Hook, Installation, Repository, World

BASE: Final = "/api/v3"
METHODS: Final = ["GET", "POST", "PUT", "PATCH", "DELETE"]
HANDLERS: Final = (
    rest_app,
    rest_code,
    rest_gates,
    rest_issues,
    rest_pulls,
    rest_repos,
)  # importing them fills the table of routes
STARTS_WITHIN: Final = 10.0  # seconds
Result = TypeVar("Result")


@functools.cache
def app_key() -> tuple[str, bytes]:
    """Make the App's key pair once per process: private PEM, public PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return pem.decode(), key.public_key().public_bytes(serialization.Encoding.PEM, spki)


class GitHubSimulator:
    """One GitHub on a free loopback port, from `with` (or `async with`) to its end.

    Every method may be called from any thread and returns at once: deliveries are queued, `settled()` waits for them.
    """

    def __init__(self, *, port: int = 0) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="github-"))
        # asyncio sets TCP_NODELAY only where the protocol number says TCP; without it every answer waits 40 ms.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        self.host = "127.0.0.1"  # as the bot reads it from web_url
        self.url = f"http://{self.host}:{self._socket.getsockname()[1]}"
        self.api_url = self.url + BASE
        self.world = World(self._directory)
        self._pem, self.world.app_public_key = app_key()
        self.shapes = shapes = Shapes(self.world, self.api_url, self.url)
        self.hosting = Hosting(self.world)
        self.courier = Courier(self.world, shapes)
        self.actions = Actions(self.world, shapes, self.courier, self.hosting)
        rest = Rest(GitHubParts(self.world, shapes, self.actions, self.hosting, self.courier), BASE)
        git = GitHttp(self.world, self.hosting, self.actions)
        app = Starlette(
            routes=[
                Route(BASE + "/{rest:path}", rest.endpoint, methods=METHODS),
                Route("/{owner}/{name}/{service:path}", git.endpoint, methods=["GET", "POST"]),
            ]
        )
        self._recorder = Recorder(app, BASE, rest.by_name)
        self._faults = Faults(self._recorder)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="github-simulator", daemon=True)
        self._ready = threading.Event()

    # -- life

    def start(self) -> Self:
        """Serve until `stop`."""
        self._thread.start()
        assert self._ready.wait(STARTS_WITHIN), "the simulator does not start"
        return self

    def stop(self) -> None:
        """Stop serving and remove all state."""
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join(STARTS_WITHIN)
        assert not self._thread.is_alive(), "the simulator does not stop"
        shutil.rmtree(self._directory)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.stop)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        config = uvicorn.Config(
            self._faults, lifespan="off", log_config=None, date_header=False, timeout_graceful_shutdown=1, ws="none"
        )
        self._server = uvicorn.Server(config)
        try:
            self._loop.run_until_complete(self._main())
        finally:
            self._loop.close()
            self._socket.close()

    async def _main(self) -> None:
        self._postman = asyncio.create_task(self.courier.run())
        self._loop.call_soon(self._ready.set)
        await self._server.serve(sockets=[self._socket])
        self._postman.cancel()
        await asyncio.gather(self._postman, return_exceptions=True)

    def _end(self) -> None:
        self._server.should_exit = True

    def do(self, act: Callable[[], Result]) -> Result:
        """Run something on the simulator's own loop and return its result."""
        done: Future[Result] = Future()

        def run() -> None:
            try:
                done.set_result(act())
            except BaseException as error:  # noqa: BLE001 - it belongs to the caller
                done.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return done.result(STARTS_WITHIN)

    # -- who and what there is

    def repository(
        self, name: str = "octo/shop", files: Mapping[str, str | bytes] | None = None, *, private: bool = True
    ) -> Repository:
        """Make a repository with one commit, and its owner where needed."""
        owner, _, short = name.partition("/")

        def make() -> Repository:
            world = self.world
            holder = world.find_user(owner) or world.add_user(owner)
            number = world.next_id()
            repo = Repository(number, holder, short, self.hosting.directory(number), world.now(), private)
            self.hosting.create(repo, files or {"README.md": f"# {short}\n"})
            world.repositories[number] = repo
            return repo

        return self.do(make)

    def repo(self, repository: Repository) -> Repo:
        """Name a repository as the bot does."""
        return Repo(ForgeKind.GITHUB, self.host, repository.id, repository.full_name)

    def rename(self, repository: Repository, name: str) -> None:
        """Rename a repository; the old address redirects until somebody takes it."""

        def move() -> None:
            self.world.moved[repository.full_name.lower()] = repository.id
            repository.name = name

        self.do(move)

    def user(self, login: str, repo: Repository, role: str = "none", kind: str = "User") -> Person:
        """Make an account, or find it, and give it a role in a repository."""

        def make() -> Person:
            return Person(self, self.world.find_user(login) or self.world.add_user(login, kind), repo)

        person = self.do(make)
        return person if role == "none" else person.is_granted(role)

    def team(self, path: str) -> Team:
        """Make a team of an organisation (`octo/leads`), or find it."""
        org, _, slug = path.partition("/")

        def make() -> Team:
            world = self.world
            if (found := world.team(org, slug)) is None:
                owner = world.find_user(org) or world.add_user(org, "Organization")
                found = Team(world.next_id(), owner, slug)
                world.teams[found.id] = found
            return found

        return self.do(make)

    def install(self, *repositories: Repository, permissions: Mapping[str, str] | None = None) -> Installation:
        """Install the App on repositories (of one owner)."""

        def make() -> Installation:
            world = self.world
            made = Installation(world.next_id(), repositories[0].owner, world.now(), list(repositories))
            made.permissions |= permissions or {}
            world.installations[made.id] = made
            return made

        return self.do(make)

    def uninstall(self, installation: Installation) -> None:
        """Remove an installation and all its tokens."""

        def remove() -> None:
            del self.world.installations[installation.id]
            self._drop_tokens(lambda token: token.installation is installation)

        self.do(remove)

    def revoke_tokens(self) -> None:
        """Revoke every token there is."""
        self.do(lambda: self._drop_tokens(lambda _: True))

    def _drop_tokens(self, gone: Callable[[Any], bool]) -> None:
        self.world.tokens = {value: token for value, token in self.world.tokens.items() if not gone(token)}

    def hook(self, url: str, secret: str, *, repo: Repository | None = None, content_type: str = "json") -> Hook:
        """Set the App's webhook, or add one of a repository."""

        def make() -> Hook:
            target, kind = (repo.id, "repository") if repo else (self.world.app_id, "integration")
            made = Hook(self.world.next_id(), url, secret, ("*",), content_type, kind, target)
            if repo:
                repo.hooks.append(made)
            else:
                self.courier.app_hook = made
            return made

        return self.do(make)

    def table(self, *, token: str = "", secrets: tuple[str, ...] = ()) -> Table:
        """Write the settings of a bot on this GitHub: by token, else as the App."""
        app_id, key = (0, "") if token else (self.world.app_id, self._pem)
        return Table(self.api_url, self.url, app_id=app_id, private_key=key, token=token, webhook_secrets=secrets)

    # -- what goes wrong

    def fault(self, method: str, path: str, **what: Any) -> Fault:
        """Plan a fault for requests whose path matches; see Fault for what can happen."""
        planned = Fault(method, path, **what)
        self.do(lambda: self._faults.planned.append(planned))
        return planned

    def skew(self, seconds: float) -> None:
        """Set GitHub's clock off this machine's."""
        self.do(lambda: setattr(self.world, "skew", seconds))

    def hold(self) -> None:
        """Keep deliveries back until `release`."""
        self.do(self.courier.hold)

    def release(self, order: Callable[[list[Delivery]], list[Delivery]] = list) -> None:
        """Deliver what was held, in this order (`reversed`-like, subsets allowed)."""
        self.do(lambda: self.courier.release(order))

    def redeliver(self, delivery: Delivery, *, by_request: bool = True) -> Delivery:
        """Deliver again under the same GUID: by a person's request, or as a plain duplicate."""
        return self.do(lambda: self.courier.again(delivery, redelivery=by_request))

    # -- what happened

    @property
    def deliveries(self) -> list[Delivery]:
        """List every delivery so far, oldest first."""
        return self.do(lambda: list(self.courier.log))

    @property
    def exchanges(self) -> list[Exchange]:
        """List every REST exchange so far."""
        return self.do(lambda: list(self._recorder.exchanges))

    async def settled(self) -> None:
        """Wait until everything that was queued has been delivered or refused."""
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self.courier.settled(), self._loop))

    def wait_settled(self, seconds: float = STARTS_WITHIN) -> None:
        """Do the same from a test without a loop."""
        asyncio.run_coroutine_threadsafe(self.courier.settled(), self._loop).result(seconds)

    def contract_faults(self, test_data: Path) -> list[str]:
        """Hold every exchange and every payload so far against what GitHub publishes."""
        contract, schema = published(test_data / "forges" / "github")
        payloads = [fault for delivery in self.deliveries for fault in schema.faults(delivery)]
        return self._recorder.faults(contract) + payloads
