from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from bot.audit.blobs import Blobs
from bot.model.errors import Superseded, Unavailable
from bot.model.task import Usage
from bot.tasks.admit import Entry
from runners.names import Names
from runners.stream import Recorder

NAMES = Names("42-k7f3qd", 3)
CALL = {"call": 1, "provider": "p", "model": "m"}


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url)
    await client.set(NAMES.current, "3")
    await client.set(NAMES.claim, "mine")
    yield client
    await client.aclose()


@pytest.fixture
async def recorder(client: Redis, tmp_path: Any) -> AsyncIterator[Recorder]:
    recorder = Recorder(client, NAMES, Blobs(tmp_path), "mine", secrets=["swordfish-42"])
    yield recorder
    await recorder.close()


async def entries(client: Redis) -> list[tuple[str, Entry]]:
    raw = await client.xrange(NAMES.stream)
    return [(key.decode(), msgspec.json.decode(fields[b"r"], type=Entry)) for key, fields in raw]


async def test_entries_are_numbered_in_order_and_read_by_controls_own_type(recorder: Recorder, client: Redis) -> None:
    for done in range(450):
        recorder.record("progress", {"done": done, "total": 450})
    await recorder.flush()
    found = await entries(client)
    assert [key for key, _ in found] == [f"{number}-0" for number in range(1, 451)]
    assert [entry.data.get("done") for _, entry in found] == list(range(450))
    assert {entry.data["attempt"] for _, entry in found} == {3}


async def test_entries_leave_by_themselves_within_moments(recorder: Recorder, client: Redis) -> None:
    recorder.record("progress", {"done": 1, "total": 2})
    assert await client.brpop(["gw:wake"], timeout=5) == (b"gw:wake", b"42-k7f3qd")
    assert len(await entries(client)) == 1


async def test_only_milestones_wake_control(recorder: Recorder, client: Redis) -> None:
    recorder.record("model.call", CALL)
    await recorder.flush()
    assert await client.llen("gw:wake") == 0
    recorder.record("pushed", {"ref": "refs/heads/x", "commit": "a" * 40, "size": 0})
    await recorder.flush()
    assert await client.llen("gw:wake") == 1


@pytest.mark.parametrize(("key", "value"), [("current", "4"), ("claim", "another run")])
async def test_a_superseded_attempt_writes_nothing(recorder: Recorder, client: Redis, key: str, value: str) -> None:
    await client.set(getattr(NAMES, key), value)
    recorder.record("progress", {"done": 1, "total": 2})
    with pytest.raises(Superseded):
        await recorder.flush()
    with pytest.raises(Superseded):
        await recorder.end({"step": "coding"}, outcome="ok")
    assert await entries(client) == []
    assert await client.llen("gw:wake") == 0


async def test_the_fence_is_asked_even_where_nothing_waits_to_be_sent(recorder: Recorder, client: Redis) -> None:
    await recorder.check()
    await client.set(NAMES.current, "4")
    with pytest.raises(Superseded):
        await recorder.check()


async def test_losing_the_fence_is_told_to_whoever_runs_the_attempt(recorder: Recorder, client: Redis) -> None:
    told: list[Exception] = []
    recorder.on_lost = told.append
    await client.delete(NAMES.current)
    recorder.record("progress", {"done": 1, "total": 2})
    with pytest.raises(Superseded):
        await recorder.flush()
    recorder.record("progress", {"done": 2, "total": 2})
    for _ in range(100):
        if told:
            break
        await client.ping()
        await asyncio.sleep(0.01)
    assert isinstance(told[0], Superseded)


async def test_a_batch_that_is_sent_twice_is_appended_once(recorder: Recorder, client: Redis) -> None:
    recorder.record("progress", {"done": 1, "total": 2})
    batch = [(await recorder._spelled(report), report.wakes) for report in recorder._waiting]
    await recorder._send(batch)
    await recorder.flush()  # the same batch again, as after an answer that was lost
    recorder.record("progress", {"done": 2, "total": 2})
    await recorder.flush()
    assert [entry.data["done"] for _, entry in await entries(client)] == [1, 2]


async def test_the_end_is_last_with_sums_and_every_open_call_has_its_result(recorder: Recorder, client: Redis) -> None:
    recorder.record("model.call", CALL)
    recorder.record("model.result", {"call": 1, "tokens_in": 10, "tokens_out": 5, "micro_usd": 7})
    recorder.record("model.call", CALL | {"call": 2})
    recorder.record("tool.call", {"call": 3, "tool": "run"})
    await asyncio.sleep(0.02)
    await recorder.end({"step": "coding", "code": "GW-X"}, outcome="fail", explanation="It broke.")
    found = [entry for _, entry in await entries(client)]
    assert [(entry.kind, entry.outcome) for entry in found[3:]] == [
        ("tool.call", "ok"), ("model.result", "cancelled"), ("tool.result", "cancelled"), ("attempt.ended", "fail"),
    ]  # fmt: skip
    assert 20 <= found[-1].data.pop("dur_ms") < 60_000
    assert found[-1].data == {
        "attempt": 3, "step": "coding", "code": "GW-X", "calls": 2, "tokens_in": 10, "tokens_out": 5, "micro_usd": 7,
    }  # fmt: skip
    assert [ref.name for ref in found[-1].refs] == ["explanation"]
    with pytest.raises(ValueError, match=r"after attempt\.ended"):
        recorder.record("progress", {"done": 1, "total": 1})


async def test_the_end_counts_what_was_cut_out_of_blobs(recorder: Recorder, client: Redis) -> None:
    recorder.record("model.call", CALL, blobs={"prompt": b"use swordfish-42 and ghp_" + b"a1B2" * 9, "b": b"plain"})
    recorder.record("model.result", {"call": 1}, blobs={"output": b"swordfish-42 again"})
    await recorder.end({"step": "coding"}, outcome="fail", explanation="It said swordfish-42.")
    ended = (await entries(client))[-1][1]
    assert ended.data["redacted"] == 4


async def test_a_price_nobody_knows_makes_the_sum_unknown(recorder: Recorder) -> None:
    recorder.record("model.call", CALL)
    recorder.record("model.result", {"call": 1, "tokens_in": 10, "tokens_out": 5, "micro_usd": None})
    assert recorder.usage == Usage(1, 10, 5, None)


@pytest.mark.parametrize("kind", ["approval", "task.closed", "seal", "forge.done", "nonsense"])
async def test_kinds_that_are_not_a_workers_are_refused(recorder: Recorder, kind: str) -> None:
    with pytest.raises(ValueError, match="may not report"):
        recorder.record(kind, {})


async def test_data_that_does_not_fit_its_kind_is_refused(recorder: Recorder) -> None:
    with pytest.raises(msgspec.ValidationError):
        recorder.record("progress", {"done": -1, "total": 2})


async def test_blobs_are_stored_without_secrets_under_the_size_that_is_stored(
    recorder: Recorder, client: Redis, tmp_path: Any
) -> None:
    recorder.record("model.call", CALL, blobs={"prompt": b"use swordfish-42 and ghp_" + b"a1B2" * 9})
    await recorder.flush()
    (ref,) = (await entries(client))[0][1].refs
    stored = Blobs(tmp_path).get(ref.commit)
    assert b"swordfish" not in stored
    assert b"ghp_" not in stored
    assert (ref.name, ref.size) == ("prompt", len(stored))


async def test_values_of_records_hold_no_secrets_either(recorder: Recorder, client: Redis) -> None:
    data = {"call": 2, "provider": "p", "model": "swordfish-42"}
    recorder.record("model.call", data)
    await recorder.flush()
    [(_, entry)] = await entries(client)
    assert "swordfish" not in str(entry.data)
    assert entry.data["call"] == 2


class SlowBlobs(Blobs):
    """A disk that answers when it is let."""

    answers = threading.Event()

    def put(self, content: bytes) -> str:
        assert self.answers.wait(10)
        return super().put(content)


async def test_whoever_reports_waits_for_no_disk_and_nothing_is_sent_before_its_blobs_are_there(
    client: Redis, tmp_path: Any
) -> None:
    disk = SlowBlobs(tmp_path)
    recorder = Recorder(client, NAMES, disk, "mine")
    began = time.perf_counter()
    for call in range(20):
        recorder.record("tool.call", {"call": 2 * call, "tool": "run"}, blobs={"args": b"x" * 30_000})
        recorder.record("tool.result", {"call": 2 * call, "exit": 0})
    took = time.perf_counter() - began
    await asyncio.sleep(0.1)
    assert await entries(client) == [], "the first one waits for its blob, and the others for the first"
    disk.answers.set()
    await recorder.flush()
    found = [entry for _, entry in await entries(client)]
    assert [entry.data.get("call") for entry in found] == [2 * (number // 2) for number in range(40)]
    assert all(disk.has(ref.commit) for entry in found for ref in entry.refs)
    assert took < 0.5, "of 40 reports, none of which could be stored yet"
    await recorder.close()


async def test_a_disk_that_takes_nothing_ends_the_attempt_and_is_asked_again(client: Redis, tmp_path: Any) -> None:
    (tmp_path / "blobs").write_bytes(b"")  # a file where the folder should be
    told: list[Exception] = []
    recorder = Recorder(client, NAMES, Blobs(tmp_path / "blobs"), "mine")
    recorder.on_lost = told.append
    recorder.record("tool.call", {"call": 1, "tool": "run"}, blobs={"args": b"ls"})
    with pytest.raises(Unavailable) as refused:
        await recorder.flush()
    assert refused.value.code == "GW-BLOB-STORE"
    assert await entries(client) == [], "nothing goes on that is not kept"
    async with asyncio.timeout(5):
        while not told:
            await asyncio.sleep(0.01)
    (tmp_path / "blobs").unlink()
    await recorder.end({"step": "coding"}, outcome="fail")
    assert [entry.kind for _, entry in await entries(client)] == ["tool.call", "tool.result", "attempt.ended"]
    await recorder.close()
