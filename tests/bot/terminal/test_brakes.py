"""`gatewright pause`, `resume` and `brakes` on a real Redis, beside a journal that was written as control writes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from bot.audit import kinds
from bot.audit.chain import Draft, Link, extend, genesis
from bot.audit.record import Who
from bot.embedded import EmbeddedRedis
from bot.forges.local import local_repo
from bot.model.errors import GatewrightError, UsageError
from bot.terminal.brakes import pause, resume, show

TASK, OTHER, ENDED = "42-k7f3qd", "43-k7f3qd", "44-k7f3qd"
KEY = "github:github.example:5"
SERVICE = Who("inst:test", "service", "system")


@pytest.fixture
def config(tmp_path: Path, embedded_redis: EmbeddedRedis, redis_url: str, monkeypatch) -> Path:
    monkeypatch.setattr("getpass.getuser", lambda: "mira")
    file = tmp_path / "gatewright.toml"
    file.write_text(f'[redis]\nurl = "{redis_url}"\n[server]\ndata_dir = "{tmp_path}"\n')
    return file


@pytest.fixture
def server(redis_url: str) -> Iterator[Redis]:
    """The server's Redis, with three tasks of one repository and one of another forge of the same name."""
    with Redis.from_url(redis_url) as redis:
        begin(redis, TASK, "github.example", 5)
        begin(redis, OTHER, "gitlab.example", 5, path="pay/other")
        begin(redis, ENDED, "github.example", 5, has_ended=True)
        yield redis


def begin(redis: Redis, task: str, host: str, number: int, *, path: str = "Pay/Core", has_ended: bool = False) -> None:
    forge = host.partition(".")[0]
    opened = kinds.TaskOpened(
        repo=f"{forge}:{host}:{number}", forge=forge, host=host, repo_id=number, path=path, issue=42, labeller=7,
        base_branch="main", base_commit="b" * 40, policy_sha256="a" * 64, config_sha256="a" * 64, bot_version="0",
        instance="test", vkey="v",
    )  # fmt: skip
    drafts = [Draft("task.opened", opened, SERVICE)]
    if has_ended:
        drafts.append(Draft("task.closed", kinds.TaskClosed("cancelled", "enough"), SERVICE))
    lines, tail = extend(Link(-1, genesis("test", opened.repo, task)), drafts, task=task, now_ms=1_000)
    redis.rpush(f"gw:journal:{task}", *lines)
    redis.hset(f"gw:head:{task}", mapping={"seq": tail.seq, "hash": tail.hash})
    redis.sadd("gw:tasks:all", task)
    if not has_ended:
        redis.sadd("gw:tasks:open", task)


def pull(config: Path, *, task: str = "", repo: str = "", everything: bool = False, reason: str = "") -> int:
    return pause(task=task, repo=repo, everything=everything, reason=reason, config=config)


def let_go(config: Path, *, task: str = "", repo: str = "", everything: bool = False) -> int:
    return resume(task=task, repo=repo, everything=everything, config=config)


def keys(server: Redis) -> list[str]:
    return sorted(key.decode() for key in server.keys("gw:brake:*"))


def test_a_task_is_held_and_let_go_and_no_journal_is_touched(config, server, capsys) -> None:
    before = server.lrange(f"gw:journal:{TASK}", 0, -1)
    assert pull(config, task=TASK, reason="the registry\nis down") == 0
    assert keys(server) == [f"gw:brake:task:{TASK}"]
    assert json.loads(server.get(f"gw:brake:task:{TASK}"))["by"] == "operator mira"
    assert server.lrange(f"gw:journal:{TASK}", 0, -1) == before
    assert {word.decode() for word in server.lrange("gw:wake", 0, -1)} == {TASK, OTHER}, "control looks at all of them"
    said = capsys.readouterr().out
    assert f"gatewright resume {TASK}" in said
    assert "2 open tasks" in said
    assert show(config, as_json=False) == 0
    assert "by operator mira since 20" in (listed := capsys.readouterr().out)
    assert "the registry is down" in listed
    assert let_go(config, task=TASK) == 0
    assert keys(server) == []


@pytest.mark.parametrize(
    "name", ["Pay/Core", "pay/core", "github.example/pay/core", "https://github.example/pay/core", KEY]
)
def test_a_repository_is_found_by_path_address_and_key(config, server, name) -> None:
    assert pull(config, repo=name) == 0
    assert keys(server) == [f"gw:brake:repo:{KEY}"]
    assert let_go(config, repo=name) == 0


def test_a_repository_without_a_task_is_held_by_its_key(config, server) -> None:
    with pytest.raises(UsageError) as caught:
        pull(config, repo="pay/unheard")
    assert caught.value.code == "GW-BRAKE-REPO"
    assert "Pay/Core" in caught.value.why
    assert pull(config, repo="gitlab:gitlab.example:77") == 0
    assert keys(server) == ["gw:brake:repo:gitlab:gitlab.example:77"]


def test_a_path_on_two_forges_is_asked_back(config, server) -> None:
    begin(server, "45-k7f3qd", "gitlab.example", 6, path="pay/core")
    with pytest.raises(UsageError) as caught:
        pull(config, repo="pay/core")
    assert KEY in caught.value.why
    assert keys(server) == []
    assert pull(config, repo="gitlab.example/pay/core") == 0
    assert keys(server) == ["gw:brake:repo:gitlab:gitlab.example:6"]


def test_the_whole_instance_is_held_and_what_still_holds_is_named(config, server, capsys) -> None:
    assert pull(config, everything=True) == 0
    assert pull(config, task=TASK) == 0
    capsys.readouterr()
    assert let_go(config, task=TASK) == 0
    assert "Still PAUSED  instance" in capsys.readouterr().out
    assert show(config, as_json=True) == 0
    document = json.loads(capsys.readouterr().out)
    assert [brake["scope"] for brake in document["brakes"]] == ["instance"]


def test_what_is_not_held_is_not_let_go(config, server) -> None:
    for call in ({"task": TASK}, {"repo": KEY}, {"everything": True}):
        with pytest.raises(GatewrightError) as caught:
            let_go(config, **call)
        assert caught.value.code == "GW-BRAKE-NONE"


@pytest.mark.parametrize("call", [{}, {"task": TASK, "everything": True}, {"task": TASK, "repo": KEY}])
def test_exactly_one_thing_is_named(config, server, call) -> None:
    with pytest.raises(UsageError) as caught:
        pull(config, **call)
    assert caught.value.code == "GW-BRAKE-WHAT"
    assert keys(server) == []


@pytest.mark.parametrize(("task", "code"), [("1-aaaaaa", "GW-TASK-UNKNOWN"), (ENDED, "GW-COMMAND-STATE")])
def test_a_task_that_is_none_or_over_cannot_be_held(config, server, task, code) -> None:
    with pytest.raises(GatewrightError) as caught:
        pull(config, task=task)
    assert caught.value.code == code
    assert keys(server) == []


def test_without_an_instance_there_is_nothing_to_hold(tmp_path) -> None:
    file = tmp_path / "gatewright.toml"
    file.write_text(f'[server]\ndata_dir = "{tmp_path}/state"\n')
    with pytest.raises(GatewrightError) as caught:
        pull(file, everything=True)
    assert caught.value.code == "GW-BRAKE-NOWHERE"
    assert not (tmp_path / "state").exists(), "looking makes nothing"


def test_a_folder_is_held_where_run_keeps_its_tasks(tmp_path, capsys) -> None:
    (tmp_path / "repo").mkdir()
    file = tmp_path / "gatewright.toml"
    file.write_text(f'[server]\ndata_dir = "{tmp_path}/state"\n')
    (tmp_path / "state" / "local-runs" / "redis").mkdir(parents=True)
    assert pull(file, repo=str(tmp_path / "repo")) == 0
    assert show(file, as_json=False) == 0, "it is still there after Redis was stopped and started"
    assert local_repo(tmp_path / "repo").key in capsys.readouterr().out.splitlines()[-1]
