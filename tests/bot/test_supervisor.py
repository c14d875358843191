"""`gatewright up`: four kinds of processes from one command, mended when one dies, gone when it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot import supervisor
from bot.settings import GitHub, Server, Settings, Worker
from bot.supervisor import command, guide
from tests.conftest import ROOT
from tests.flow.house import toml

PATIENCE = 30.0


class Up:
    """A running `up`."""

    def __init__(self, folder: Path, **tables: dict[str, Any]) -> None:
        self.folder = folder
        server = {"port": 0, "data_dir": str(folder / "data")}
        tables = {"server": server, "worker": {"work_dir": str(folder / "work")}, **tables}
        config = folder / "gatewright.toml"
        config.write_text(toml(tables))
        config.chmod(0o600)
        self.log = folder / "up.log"
        env = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)}
        argv = [sys.executable, "-P", "-m", "bot", "up", "--config", str(config)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def until(self, holds: Callable[[], Any], what: str) -> Any:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if found := holds():
                return found
            time.sleep(0.05)
        raise AssertionError(f"{what} did not come to hold\n{self.said}")

    def url(self) -> str:
        found = self.until(lambda: re.search(r"listens on (http://\S+?)\. ", self.said), "the greeting")
        return str(found[1])

    def children(self) -> dict[str, int]:
        """Name the roles that run, by what they were started with."""
        found = {}
        for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
            if "-server" in words[0]:
                found["redis"] = int(pid)
            found |= {role: int(pid) for role in ("serve", "control", "work") if role in words}
        return found

    def all(self) -> dict[str, int]:
        """Wait for all four roles."""
        self.until(lambda: len(self.children()) == 4, "four roles")
        return self.children()

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    made: list[Up] = []

    def make(**tables: dict[str, Any]) -> Up:
        made.append(Up(tmp_path, **tables))
        return made[-1]

    yield make
    for each in made:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait()


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_all_roles_run_and_end_together_leaving_nothing(up, tmp_path):
    house = up(github={"token": "x", "webhook_secrets": ["a-secret"]})
    url = house.url()
    assert httpx.get(f"{url}/readyz", trust_env=False).status_code == 200
    roles = house.all()
    assert set(roles) == {"serve", "control", "work", "redis"}
    assert f"Webhook   {url}/webhooks/github" in house.said
    assert "set the label `gatewright` on an issue" in house.said
    assert (tmp_path / "data/redis.url").read_text().startswith("unix://")
    argv = [sys.executable, "-P", "-m", "bot", "tasks", "list", "--config", str(tmp_path / "gatewright.toml")]
    listed = subprocess.run(
        argv, env={**os.environ, "HOME": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert "No tasks yet." in listed.stdout, listed.stderr
    began = time.monotonic()
    assert house.end() == 0
    assert time.monotonic() - began < 15
    assert all(gone(pid) for pid in roles.values())
    assert not (tmp_path / "data/redis.url").exists()
    assert "Traceback" not in house.said


@pytest.mark.parametrize("role", ["serve", "control", "work"])
def test_a_role_that_dies_is_started_again(up, role):
    house = up()
    house.url()
    first = house.until(lambda: house.children().get(role), role)
    os.kill(first, signal.SIGKILL)
    house.until(lambda: house.children().get(role, first) != first, f"another {role}")
    assert "ended with -9; it is started again" in house.said
    assert house.end(signal.SIGINT) == 0


def test_nothing_outlives_a_parent_that_was_killed(up):
    house = up()
    house.url()
    roles = house.all()
    house.process.kill()
    house.process.wait()
    house.until(lambda: all(gone(pid) for pid in roles.values()), "the end of all roles")


def test_without_its_redis_it_ends_with_the_reason(up):
    house = up()
    house.url()
    os.kill(house.until(lambda: house.children().get("redis"), "redis"), signal.SIGKILL)
    assert house.process.wait(40) == 1
    assert "error[GW-UP-REDIS]" in house.said


def test_a_port_in_use_is_named_before_anything_starts(up, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        house = up(server={"port": port, "data_dir": str(tmp_path / "data")})
        assert house.process.wait(20) == 2
    assert f"error[GW-UP-PORT]: cannot listen on 127.0.0.1 port {port}" in house.said
    assert "why: Address already in use" in house.said
    assert not (tmp_path / "data").exists()


def test_github_without_a_webhook_secret_is_refused(up):
    house = up(github={"token": "x"})
    assert house.process.wait(20) == 2
    assert "error[GW-WEB-NO-SECRET]" in house.said
    assert "webhook_secrets" in house.said


def test_a_second_one_on_the_same_directory_is_refused(up, tmp_path):
    first = up()
    first.url()
    second = Up(tmp_path, server={"port": 0, "data_dir": str(tmp_path / "data")})
    assert second.process.wait(20) == 1
    assert "error[GW-REDIS-IN-USE]" in second.said
    assert first.end() == 0


def test_a_state_directory_that_cannot_be_written_is_named(up, tmp_path):
    (tmp_path / "file").write_text("")
    house = up(server={"port": 0, "data_dir": str(tmp_path / "file/data")})
    assert house.process.wait(20) == 2
    assert "error[GW-DATA-DIR]" in house.said


def test_the_guide_names_what_a_forge_has_to_reach():
    github = GitHub(token="x", webhook_secrets=("s",))
    behind = guide(Settings(server=Server(public_url="https://bot.bank.example/"), github=github), 8080)
    assert "https://bot.bank.example/webhooks/github" in behind
    assert "public_url" not in behind
    assert "public_url" in guide(Settings(github=github), 8080)
    assert "No forge is configured" in guide(Settings(), 8080)
    assert "http://[::1]:8080" in guide(Settings(server=Server(host="::1")), 8080)


def test_a_role_never_takes_its_code_from_where_it_is_started(tmp_path):
    (tmp_path / "bot").mkdir()
    (tmp_path / "bot/__init__.py").write_text("raise SystemExit('hijacked')")
    ended = subprocess.run(command("--version"), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.stdout.startswith("gatewright ")


def test_a_root_worker_gets_a_place_that_the_jails_user_can_enter(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "WORK", tmp_path / "lib")
    told = supervisor.environment(Settings(), "unix:///r.sock", 8080)
    assert told["GATEWRIGHT_REDIS__URL"] == "unix:///r.sock"
    if os.geteuid() == 0:
        assert told["GATEWRIGHT_WORKER__WORK_DIR"] == str(tmp_path / "lib/work")
        assert (tmp_path / "lib").stat().st_mode & 0o001
    named = supervisor.environment(Settings(worker=Worker(work_dir="/srv/work")), "unix:///r.sock", 8080)
    assert named.get("GATEWRIGHT_WORKER__WORK_DIR") == os.environ.get("GATEWRIGHT_WORKER__WORK_DIR")
