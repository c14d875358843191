"""`gatewright up`: one machine, one command; web, control, workers and an embedded Redis as children of one parent."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from bot import __version__, tether
from bot.app import check_all
from bot.embedded import EmbeddedRedis
from bot.keyring import control_key, runner_key
from bot.model.errors import GatewrightError, UsageError
from bot.settings import Server, Settings
from bot.settings_file import data_dir, make_dir, open_work_dir

STOP_S: Final = 30.0  # a worker pushes what it has before it ends
RESTART_S: Final = 2.0  # a role that dies at once must not spin
MOST_RESTARTS: Final = 5  # in a row, each within this many seconds of its start:
SHORT_LIFE_S: Final = 10.0
TICK_S: Final = 0.25
WORK: Final = Path("/var/lib/gatewright")  # of a root worker, unless the settings name a place
ADDRESS: Final = "redis.url"  # so that `gatewright tasks` finds our Redis
EVENTS: Final = {
    "github": "Issues, Issue comments, Pull requests, Pull request reviews",
    "gitlab": "Issues events, Comments, Merge request events",
}


def up(settings: Settings, config: Path | None) -> int:
    """Run all roles until a signal; return 0 after an orderly end, raise GW-UP-... when a part will not stay up."""
    check_all(settings)
    port = free_port(settings.server)
    data = make_dir(data_dir(settings))
    control_key(settings)
    runner_key(data, settings.server.instance)
    stop = threading.Event()
    with _signals(stop), ExitStack() as opened:
        redis = _redis(settings, data, opened)
        url = redis.url if redis else settings.redis.url
        family = Family(_roles(settings, config), environment(settings, url, port), redis.pid if redis else None, stop)
        return family.run(lambda: _answers(settings.server.host, port), guide(settings, port))


def environment(settings: Settings, url: str, port: int) -> dict[str, str]:
    """Spell what the roles are told beyond the settings file: what was found out or chosen here."""
    ours = {"GATEWRIGHT_REDIS__URL": url, "GATEWRIGHT_SERVER__PORT": str(port)}
    return {**os.environ, **ours, **open_work_dir(settings, WORK)}


def command(*words: str) -> list[str]:
    """Spell how a role is started: `-P`, so that no `bot/` folder of a repository can stand in for ours."""
    # tether is run by path: the child must be tied before it imports anything.
    return [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), sys.executable, "-P", "-m", "bot", *words]


def free_port(server: Server) -> int:
    """Find the port to listen on; raises UsageError where somebody else has it or the address is not ours."""
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    with socket.socket(family) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind((server.host, server.port))
        except (OSError, OverflowError) as error:
            raise UsageError(
                "GW-UP-PORT", f"cannot listen on {server.host} port {server.port}",
                why=getattr(error, "strerror", None) or str(error),
                fix="stop what listens there, or set [server] host and port",
            ) from None  # fmt: skip
        port: int = held.getsockname()[1]
        return port


def guide(settings: Settings, port: int) -> str:
    """Say what runs, and what a person does next."""
    server = settings.server
    here = f"http://{f'[{server.host}]' if ':' in server.host else server.host}:{port}"
    lines = [f"Gatewright {__version__} listens on {here}. Ctrl-C stops it."]
    if not (forges := list(_forges(settings))):
        lines.append("  No forge is configured: add [github] to gatewright.toml (docs/github.md says how).")
        return "\n".join(lines)
    for forge in forges:
        lines.append(f"  Webhook   {server.public_url.rstrip('/') or here}/webhooks/{forge}")
        lines.append(f"            with the secret you set; events: {EVENTS[forge]}")
    if not server.public_url:
        lines.append("            Your forge must reach that address; [server] public_url names the one of a proxy.")
    lines.append(f"  Begin     set the label `{settings.trigger.label}` on an issue")
    lines.append("  Watch     gatewright tasks list")
    return "\n".join(lines)


class Role:
    """One child process that is started again when it ends unasked."""

    def __init__(self, name: str, argv: list[str], env: dict[str, str]) -> None:
        self.name = name
        self._argv = argv
        self._env = env
        self._short_lives = 0
        self._due: float | None = None
        self.start()

    def start(self) -> None:
        """Start, or start again."""
        self._began = time.monotonic()
        self._due = None
        self.process = subprocess.Popen(self._argv, env=self._env, stdin=subprocess.DEVNULL, start_new_session=True)

    def tend(self) -> int | None:
        """Start again, after a while, what has ended; answer its exit code where it keeps dying."""
        code = self.process.poll()
        if code is None:
            return None
        now = time.monotonic()
        if self._due is None:
            self._short_lives = self._short_lives + 1 if now - self._began < SHORT_LIFE_S else 0
            self._due = now + RESTART_S
            sys.stderr.write(f"gatewright: {self.name} ended with {code}; it is started again\n")
        if self._short_lives >= MOST_RESTARTS:
            return code
        if now >= self._due:
            self.start()
        return None


class Family:
    """The roles of one machine, and the Redis they share where it is ours."""

    def __init__(
        self, plan: list[tuple[str, list[str]]], env: dict[str, str], redis: int | None, stop: threading.Event
    ) -> None:
        self._plan = plan
        self._env = env
        self._redis = redis
        self._stop = stop

    def run(self, is_ready: Callable[[], bool], words: str) -> int:
        """Watch over the roles until a signal comes or one of them will not stay up; say `words` once it is ready."""
        roles: list[Role] = []
        try:
            roles += (Role(name, command(*argv), self._env) for name, argv in self._plan)
            return self._watch(roles, is_ready, words)
        finally:
            _end(roles)

    def _watch(self, roles: list[Role], is_ready: Callable[[], bool], words: str) -> int:
        is_said = False
        while not self._stop.wait(TICK_S):
            if not is_said and is_ready():
                is_said = True
                sys.stderr.write(words + "\n")
            if self._redis is not None and _has_ended(self._redis):
                raise GatewrightError(
                    "GW-UP-REDIS", "the embedded Redis has ended", why="it was killed, or the disk is full",
                    fix="see redis.log in the data directory, then start again: what it acknowledged is on disk",
                )  # fmt: skip
            for role in roles:
                if (code := role.tend()) is not None:
                    raise GatewrightError(
                        "GW-UP-ROLE", f"the {role.name} process ends as soon as it is started", why=f"exit code {code}",
                        fix="its own message stands above",
                    )  # fmt: skip
        return 0


def _forges(settings: Settings) -> Iterator[str]:
    if settings.github.app_id or settings.github.token:
        yield "github"
    if settings.gitlab.token:
        yield "gitlab"


def _roles(settings: Settings, config: Path | None) -> list[tuple[str, list[str]]]:
    flags = ["--config", str(config)] if config else []
    workers = [(f"worker-{n}", ["work", *flags]) for n in range(1, settings.worker.count + 1)]
    return [("web", ["serve", *flags]), ("control", ["control", *flags]), *workers]


def _redis(settings: Settings, data: Path, opened: ExitStack) -> EmbeddedRedis | None:
    """Start our own Redis where the settings name none, and leave its address for `gatewright tasks`."""
    if settings.redis.url != "embedded":
        return None
    redis = opened.enter_context(EmbeddedRedis(data / "redis"))
    address = data / ADDRESS
    address.write_text(redis.url, "ascii")
    opened.callback(address.unlink, missing_ok=True)
    return redis


@contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    """Have signals end everything in order, from the first moment on."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _answers(host: str, port: int) -> bool:
    """Tell whether web listens."""
    where = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - asked, not listened on
    try:
        with socket.create_connection((where, port), timeout=1):
            return True
    except OSError:
        return False


def _has_ended(pid: int) -> bool:
    """Look at a child without reaping it, which is its owner's business."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _end(roles: list[Role]) -> None:
    for role in roles:
        role.process.terminate()
    deadline = time.monotonic() + STOP_S
    for role in roles:
        try:
            role.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            role.process.kill()
            role.process.wait()
