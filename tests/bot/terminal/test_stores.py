"""Which Redis is asked, in which order, and that asking starts no more than it needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.embedded import EmbeddedRedis
from bot.model.errors import Unavailable
from bot.supervisor import ADDRESS
from bot.terminal.places import LOCAL
from bot.terminal.stores import Store, ask


async def kind(store: Store) -> tuple[bool, list[object]]:
    return store.is_local, list(await store.tasks())


def settings(folder: Path, url: str = "") -> Path:
    file = folder / "gatewright.toml"
    redis = f'[redis]\nurl = "{url}"\n' if url else ""
    file.write_text(f'{redis}[server]\ndata_dir = "{folder}/state"\n')
    return file


def test_nothing_is_made_where_nothing_is(tmp_path: Path) -> None:
    assert ask(settings(tmp_path), kind) == []
    assert not (tmp_path / "state").exists()


def test_the_servers_redis_comes_before_that_of_run(tmp_path: Path, redis_url: str) -> None:
    (tmp_path / "state" / LOCAL / "redis").mkdir(parents=True)
    asked = ask(settings(tmp_path, redis_url), kind)
    assert [each.answer for each in asked] == [(False, []), (True, [])]


def test_a_redis_that_runs_is_asked_and_not_started_again(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with EmbeddedRedis(state / "redis") as running:
        (state / ADDRESS).write_text(running.url)
        assert [each.answer for each in ask(settings(tmp_path), kind)] == [(False, [])]
    assert [each.answer for each in ask(settings(tmp_path), kind)] == [(False, [])], "its address is stale by now"


def test_a_redis_that_is_away_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        ask(settings(tmp_path, f"unix://{tmp_path}/none.sock"), kind)
    assert caught.value.code == "GW-REDIS-AWAY"
