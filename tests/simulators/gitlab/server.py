"""The simulated GitLab as a server: own thread, own loop, below a sub-path if wanted."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Collection, Coroutine, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp

from bot import settings
from bot.model.event import ForgeKind, Repo
from tests.simulators.contract import Exchange, Recorder
from tests.simulators.github.faults import Fault, Faults
from tests.simulators.gitlab import (
    rest_builds,
    rest_code,
    rest_history,
    rest_hooks,
    rest_places,
    rest_rights,
    rest_talk,
)
from tests.simulators.gitlab.base import Executed
from tests.simulators.gitlab.builds import Actions
from tests.simulators.gitlab.git_http import GitHttp, GitRequest
from tests.simulators.gitlab.hooks import Courier, Delivery
from tests.simulators.gitlab.hosting import Hosting
from tests.simulators.gitlab.interpret import Interpreter
from tests.simulators.gitlab.payloads import Payloads
from tests.simulators.gitlab.people import FULL, Person
from tests.simulators.gitlab.published import published
from tests.simulators.gitlab.rest import BASE, GitLabParts, Rest
from tests.simulators.gitlab.serving import STARTS_WITHIN, Serving
from tests.simulators.gitlab.shapes import Shapes
from tests.simulators.gitlab.world import LEVELS, Group, Hook, Project, Token, Traits, World

METHODS: Final = ["GET", "POST", "PUT", "PATCH", "DELETE"]
HANDLERS: Final = (
    rest_builds,
    rest_code,
    rest_history,
    rest_hooks,
    rest_places,
    rest_rights,
    rest_talk,
)  # Importing them fills the table of routes


class GitLabSimulator(Serving):
    """One GitLab on a free loopback port, from `with` (or `async with`) to its end.

    Every method may be called from any thread and returns at once: deliveries are queued, `settled()` waits for them.
    `root` is the sub-path (`/gitlab`) below which everything lies.
    """

    def __init__(self, *, port: int = 0, root: str = "", traits: Traits | None = None) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="gitlab-"))
        super().__init__(port)
        self.host = "127.0.0.1"  # as the bot reads it from url
        self.url = f"http://{self.host}:{self.port}{root}"
        self.api_url = self.url + BASE
        self.traits = traits or Traits()
        self.world = World(self._directory, self.traits)
        self.hosting = Hosting(self.world)
        shapes = Shapes(self.world, self.hosting, self.url)
        self._payloads = Payloads(shapes, self.hosting)
        self.courier = Courier(self.world, self.url)
        self.actions = Actions(self.world, self.courier, self.hosting, self._payloads)
        self.actions.interpreter = Interpreter(self.actions)
        rest = Rest(GitLabParts(self.world, shapes, self.actions, self.hosting, self.courier), root + BASE)
        self._git = GitHttp(self.world, self.hosting, self.actions, root)
        app = Starlette(
            routes=[
                Route(root + BASE + "/{rest:path}", rest.endpoint, methods=METHODS),
                Route(root + "/{rest:path}", self._git.endpoint, methods=["GET", "POST"]),
            ]
        )
        self._recorder = Recorder(app, root + BASE, lambda path: BASE + path)
        self._faults = Faults(self._recorder)

    def application(self) -> ASGIApp:
        """Give the API, git and, before both, the faults."""
        return self._faults

    def beside(self) -> Coroutine[Any, Any, None]:
        """Deliver webhooks."""
        return self.courier.run()

    def clean_up(self) -> None:
        """Remove all state."""
        shutil.rmtree(self._directory)

    # -- who and what there is

    def group(self, path: str) -> Group:
        """Find a group (`pay/core`), or make it with those above it."""
        return self.do(lambda: self.world.group(path))

    def project(
        self, path: str = "pay/core/api", files: Mapping[str, str | bytes] | None = None, *, visibility: str = "private"
    ) -> Project:
        """Make a project with one commit, and its groups where needed."""
        above, _, name = path.rpartition("/")

        def make() -> Project:
            number = self.world.next_id()
            group, git = self.world.group(above), self.hosting.directory(number)
            made = Project(number, name, group, git, self.world.now(), visibility=visibility)
            self.hosting.create(made, files or {"README.md": f"# {name}\n"})
            self.world.projects[number] = made
            self.courier.emit_system(self._payloads.project_created(made, self.world.root_user))
            return made

        return self.do(make)

    def move(self, project: Project, path: str) -> None:
        """Rename a project or transfer it to another group; its number stays."""
        above, _, name = path.rpartition("/")

        def move() -> None:
            before, group = project.full_path, project.group
            project.group, project.path = self.world.group(above), name
            what = "project_rename" if project.group is group else "project_transfer"
            self.courier.emit_system(self._payloads.project_moved(project, self.world.root_user, what, before))

        self.do(move)

    def changes_visibility(self, project: Project, visibility: str) -> None:
        """Let an owner make a project private, internal or public; only system hooks tell of it."""

        def change() -> None:
            project.visibility = visibility
            self.courier.emit_system(self._payloads.project_created(project, self.world.root_user, "project_update"))

        self.do(change)

    def protect(
        self, project: Project, rule: str, *, push: int = 0, merge: int = 0, only: Collection[int] = ()
    ) -> None:
        """Protect the branches under a rule: the levels that may (0: no one), and accounts that may all the same."""

        def protect() -> None:
            project.protected[rule] = (push, merge)
            project.admitted[rule] = (frozenset(only), frozenset(only))

        self.do(protect)

    def service_desk(self, project: Project, title: str, address: str = "customer@elsewhere.example") -> int:
        """Open an issue from an e-mail, as GitLab's own account does for whoever wrote it."""

        def open_one() -> int:
            by = self.world.find_user("support-bot") or self.world.add_user("support-bot", bot=True)
            return self.actions.open_issue(project, by, title, "", [], confidential=True, reply_to=address).iid

        return self.do(open_one)

    def repo(self, project: Project) -> Repo:
        """Name a project as the bot does."""
        return Repo(ForgeKind.GITLAB, self.host, project.id, project.full_path)

    def clone_url(self, project: Project) -> str:
        """Name where git fetches from and pushes to."""
        return f"{self.url}/{project.full_path}.git"

    def user(self, username: str, project: Project, level: str = "", *, on: Group | None = None) -> Person:
        """Make an account, or find it, and give it a level in a project, or in a group (`on`)."""

        def make() -> Person:
            return Person(self, self.world.find_user(username) or self.world.add_user(username), project)

        person = self.do(make)
        return person.is_granted(level, on=on) if level else person

    def access_token(
        self,
        project: Project,
        level: str = "developer",
        scopes: Collection[str] = FULL,
        *,
        within: Group | None = None,
        life: float | None = None,
    ) -> tuple[Person, Token]:
        """Make a project access token, or (`within`) a group's, with the bot account that belongs to it."""

        def make() -> tuple[Person, Token]:
            place, kind = within or project, "group" if within else "project"
            number = self.world.next_id()
            user = self.world.add_user(f"{kind}_{place.id}_bot_{number:032x}", bot=True)
            place.members[user.id] = LEVELS[level]
            return Person(self, user, project), self.world.mint(user, frozenset(scopes), within=place, life=life)

        return self.do(make)

    def revoke(self, token: Token) -> None:
        """Revoke a token."""
        self.do(lambda: setattr(token, "revoked", True))

    def hook(
        self,
        url: str,
        *,
        token: str = "",
        signing: str = "",
        project: Project | None = None,
        group: Group | None = None,
        events: Collection[str] | None = None,
    ) -> Hook:
        """Add a webhook of a project or a group, or without either a system hook; all events unless named."""

        def make() -> Hook:
            place = project or group
            made = Hook(self.world.next_id(), url, place, self.world.now(), token, signing)
            if events is not None:
                made.events = {flag: flag in events for flag in made.events}
            (self.world.hooks if place is None else place.hooks).append(made)
            return made

        return self.do(make)

    def table(self, *, token: str, webhook_tokens: tuple[str, ...] = (), signing_secrets: tuple[str, ...] = ()) -> Any:
        """Write the settings of a bot on this GitLab."""
        keys = {"url": self.url, "token": token, "webhook_tokens": webhook_tokens, "signing_secrets": signing_secrets}
        return msgspec.convert(keys, settings.GitLab) if hasattr(settings, "GitLab") else keys

    # -- what goes wrong

    def fault(self, method: str, path: str, **what: Any) -> Fault:
        """Plan a fault for requests whose raw path matches; see Fault for what can happen."""
        planned = Fault(method, path, **what)
        self.do(lambda: self._faults.planned.append(planned))
        return planned

    def limit(self, method: str, path: str, *, seconds: int = 1, times: int = 1) -> Fault:
        """Refuse requests by rate, as GitLab does: 429, plain text, and when to come back."""
        at = self.world.now().timestamp() + seconds
        headers = {
            "content-type": "text/plain",
            "retry-after": str(seconds),
            "ratelimit-limit": "60",
            "ratelimit-name": "throttle_authenticated_api",
            "ratelimit-observed": "61",
            "ratelimit-remaining": "0",
            "ratelimit-reset": str(int(at)),
            "ratelimit-resettime": self.world.now().strftime("%a, %d %b %Y %H:%M:%S GMT"),
        }
        return self.fault(method, path, status=429, headers=headers, body=b"Retry later\n", times=times)

    def skew(self, seconds: float) -> None:
        """Set GitLab's clock off this machine's; it also lets a hook's back-off pass."""
        self.do(lambda: setattr(self.world, "skew", seconds))

    def hold(self) -> None:
        """Keep deliveries back until `release`."""
        self.do(self.courier.hold)

    def release(self, order: Callable[[list[Delivery]], list[Delivery]] = list) -> None:
        """Deliver what was held, in this order (`reversed`-like, subsets allowed)."""
        self.do(lambda: self.courier.release(order))

    def redeliver(self, delivery: Delivery, *, by_request: bool = True) -> Delivery:
        """Deliver again under the same Idempotency-Key: resent by a person, or as a plain duplicate."""
        return self.do(lambda: self.courier.post(self.courier.copy(delivery, resent=by_request)))

    # -- what happened

    @property
    def executed(self) -> list[Executed]:
        """List every quick action that was carried out or tried, and in whose name."""
        return self.do(lambda: list(self.actions.executed))

    @property
    def deliveries(self) -> list[Delivery]:
        """List every delivery so far, oldest first."""
        return self.do(lambda: list(self.courier.log))

    @property
    def exchanges(self) -> list[Exchange]:
        """List every REST exchange so far."""
        return self.do(lambda: list(self._recorder.exchanges))

    @property
    def git_requests(self) -> list[GitRequest]:
        """List every request of git clients so far."""
        return self.do(lambda: list(self._git.requests))

    async def settled(self) -> None:
        """Wait until everything that was queued has been delivered or refused."""
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self.courier.settled(), self._loop))

    def wait_settled(self, seconds: float = STARTS_WITHIN) -> None:
        """Do the same from a test without a loop."""
        asyncio.run_coroutine_threadsafe(self.courier.settled(), self._loop).result(seconds)

    def contract_faults(self, test_data: Path) -> list[str]:
        """Hold every exchange and every payload so far against what GitLab publishes."""
        book = published(test_data / "forges" / "gitlab")
        answers = [fault for exchange in self.exchanges for fault in book.answer_faults(exchange)]
        old = self.traits.old_payloads or not self.traits.note_actions
        payloads = [fault for sent in self.deliveries for fault in book.payload_faults(sent, old=old)]
        return list(dict.fromkeys(self._recorder.faults(book.contract) + answers + payloads))
