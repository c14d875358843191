"""`gatewright up`: one machine, one command; web, control, workers and an embedded Redis as children of one parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

from bot import tether
from bot.app import check
from bot.embedded import EmbeddedRedis
from bot.keyring import instance_key, runner_key
from bot.model.errors import GatewrightError
from bot.settings import Settings
from bot.settings_file import data_dir

STOP_S: Final = 30.0  # a worker pushes what it has before it ends
RESTART_S: Final = 2.0  # a role that dies at once must not spin
MOST_RESTARTS: Final = 5  # in a row, each within this many seconds of its start:
SHORT_LIFE_S: Final = 10.0


def up(settings: Settings, config: Path | None) -> int:
    """Run all roles until a signal; return 0 after an orderly end, 1 when a role will not stay up."""
    check(settings.github)
    data = data_dir(settings)
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    instance_key(data, settings.server.instance)
    runner_key(data, settings.server.instance)
    if settings.redis.url != "embedded":
        return Family(settings, config, settings.redis.url).run()
    address = data / "redis.url"
    with EmbeddedRedis(data / "redis") as redis:
        address.write_text(redis.url, "ascii")  # so that `gatewright tasks list` finds it
        try:
            return Family(settings, config, redis.url).run()
        finally:
            address.unlink(missing_ok=True)


def command(*words: str) -> list[str]:
    """Spell how a role is started: `-P`, so that no `bot/` folder of a repository can stand in for ours."""
    # tether is run by path: the child must be tied before it imports anything.
    return [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), sys.executable, "-P", "-m", "bot", *words]


class Role:
    """One child process that is started again when it ends unasked."""

    def __init__(self, name: str, argv: list[str], env: dict[str, str]) -> None:
        self.name = name
        self._argv = argv
        self._env = env
        self._short_lives = 0
        self.start()

    def start(self) -> None:
        """Start, or start again."""
        self._began = time.monotonic()
        self.process = subprocess.Popen(self._argv, env=self._env, start_new_session=True)

    def revive(self) -> bool:
        """Start again after an end unasked; False where it keeps dying."""
        lived = time.monotonic() - self._began
        self._short_lives = self._short_lives + 1 if lived < SHORT_LIFE_S else 0
        if self._short_lives >= MOST_RESTARTS:
            return False
        time.sleep(RESTART_S)
        self.start()
        return True


class Family:
    """The roles of one machine."""

    def __init__(self, settings: Settings, config: Path | None, url: str) -> None:
        self._settings = settings
        env = {**os.environ, "GATEWRIGHT_REDIS__URL": url}
        flags = ["--config", str(config)] if config else []
        self._plan = [("web", ["serve", *flags]), ("control", ["control", *flags])]
        self._plan += [(f"worker-{n}", ["work", *flags]) for n in range(1, settings.worker.count + 1)]
        self._env = env
        self._stop = threading.Event()

    def run(self) -> int:
        """Watch over the roles until a signal comes or one of them will not stay up."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        roles = [Role(name, command(*words), self._env) for name, words in self._plan]
        server = self._settings.server
        print(f"Gatewright listens on http://{server.host}:{server.port}; Ctrl-C stops it.", file=sys.stderr)  # noqa: T201
        try:
            return self._watch(roles)
        finally:
            self._end(roles)

    def _watch(self, roles: list[Role]) -> int:
        while not self._stop.wait(0.5):
            for role in roles:
                code = role.process.poll()
                if code is not None and not role.revive():
                    raise GatewrightError(
                        "GW-UP-ROLE", f"the {role.name} process ends as soon as it is started", why=f"exit code {code}",
                        fix="its own message stands above",
                    )  # fmt: skip
        return 0

    def _end(self, roles: list[Role]) -> None:
        for role in roles:
            role.process.terminate()
        deadline = time.monotonic() + STOP_S
        for role in roles:
            try:
                role.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                role.process.kill()
                role.process.wait()
