"""Settings become the parts of control."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from redis.asyncio import Redis

from bot.forges.github import GitHub as GitHubForge
from bot.forges.local import HOST, LocalForge
from bot.model.errors import UsageError
from bot.settings import GitHub, Server, Settings
from bot.wiring import control, make_control, make_forges
from tests.conftest import ROOT


def test_the_local_forge_is_always_there_and_github_where_it_is_configured(tmp_path):
    assert [type(forge) for forge in make_forges(Settings(), tmp_path).values()] == [LocalForge]
    github = GitHub(token="x", webhook_secrets=("s",), web_url="https://ghe.bank.example")
    made = make_forges(Settings(github=github), tmp_path)
    assert isinstance(made["github", "ghe.bank.example"], GitHubForge)
    assert isinstance(made["local", HOST], LocalForge)


def test_control_alone_refuses_the_embedded_redis():
    with pytest.raises(UsageError) as caught:
        control(Settings())
    assert caught.value.code == "GW-REDIS-EMBEDDED"
    assert "gatewright up" in caught.value.fix


async def test_control_is_wired_to_one_redis(tmp_path, redis_url):
    made = make_control(Settings(server=Server(data_dir=str(tmp_path), instance="bank")), redis_url)
    try:
        await made.desk.wake("0-abcdef")
        async with Redis.from_url(redis_url) as redis:
            assert await redis.lrange("gw:wake", 0, -1) == [b"0-abcdef"]
        assert made.desk.key.vkey("bank").startswith("bank+")
        assert (tmp_path / "keys/instance.pub").exists()
    finally:
        await made.desk.redis.aclose()


def test_a_signal_ends_control_in_order(tmp_path, redis_url):
    env = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "GATEWRIGHT_REDIS__URL": redis_url,
        "GATEWRIGHT_SERVER__DATA_DIR": str(tmp_path / "data"),
    }  # fmt: skip
    process = subprocess.Popen([sys.executable, "-P", "-m", "bot", "control"], env=env, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 20
    while not (tmp_path / "data/keys/instance.pub").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=15)[1]
    assert process.returncode == 0, said
    assert b"Traceback" not in said
