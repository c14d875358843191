"""What was signed is taken from Redis as far as it verifies; who can write there gets nothing into a commit."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis
from structlog.testing import capture_logs

from bot.audit import layout, merkle
from bot.audit.keys import InstanceKey
from bot.audit.note import Checkpoint, Note
from bot.model.errors import GatewrightError
from bot.model.order import Order
from runners import notes
from runners.names import Names
from tests.bot.audit.signed import INSTANCE, TASK, Keys, SignedStory, Tsa, note_at
from tests.bot.model.test_order import ORDER

NAMES = Names(TASK, 1)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> SignedStory:
    root = tmp_path_factory.mktemp("story")
    return SignedStory(root, tsa=Tsa(root)).until_sealed()


def at(size: int) -> str:
    return layout.checkpoint(size).removeprefix("audit/")


def ordered(story: SignedStory, size: int = 0) -> tuple[Order, tuple[bytes, ...]]:
    """The order on a journal of a size (default: all of it)."""
    lines = tuple(story.lines[: size or len(story.lines)])
    name = f"{INSTANCE}/task/{TASK}"
    trailer = Checkpoint(name, len(lines), merkle.root(lines)).trailer
    return replace(ORDER, task=TASK, instance=INSTANCE, journal_size=len(lines), checkpoint=trailer), lines


async def taken(
    redis_url: str, story: SignedStory, stored: Mapping[Any, Any], size: int = 0, public: bytes = b"", **changes: Any
) -> Mapping[str, bytes]:
    order, lines = ordered(story, size)
    async with Redis.from_url(redis_url) as redis:
        if stored:
            await redis.hset(NAMES.signed, mapping=dict(stored))
        public = public or story.keys.instance.public
        return await notes.signed(redis, NAMES, replace(order, **changes), lines, public)


async def test_a_sealed_task_brings_all_that_was_signed(redis_url: str, story: SignedStory) -> None:
    assert "seal.dsse.json" in story.signed
    assert f"proofs/{len(story.lines):010d}.tsr" in story.signed
    assert await taken(redis_url, story, story.signed) == story.signed
    files = layout.evidence_files(TASK, story.lines, {}, story.signed)
    assert {f"{layout.folder(TASK)}/audit/{path}" for path in story.signed} <= {*files}


async def test_what_is_about_more_than_the_order_names_belongs_to_later(redis_url: str, story: SignedStory) -> None:
    size = sorted(story.ordered)[1]
    with capture_logs() as logs:
        found = await taken(redis_url, story, story.signed, size)
    assert at(size) in found
    assert {int(path.rpartition("/")[2][:10]) for path in found if "/" in path} <= {*range(size + 1)}
    assert "seal.dsse.json" not in found
    assert logs == []


async def test_junk_is_left_out_and_logged(redis_url: str, story: SignedStory) -> None:
    other = Keys.fresh()
    early, late = sorted(int(path[12:22]) for path in story.signed if path.startswith("checkpoints/"))[:2]
    proof = story.signed[f"proofs/{late:010d}.tlog-proof"]
    junk = {
        at(early): bytes(Note.parse(note_at(story.lines, early, other))),  # by a key of somebody's
        at(early + 1_000): b"x",  # later: left alone without a word
        "proofs/0000000002.tsr": b"x",
        f"proofs/{early:010d}.tlog-proof": proof,  # of another checkpoint
        f"proofs/{len(story.lines):010d}.tsr": b"another token",
        "seal.dsse.json": b"{}",
        "../../../evil": b"x",
        ".gitattributes": b"* filter=evil",
        "checkpoints/1.note": b"x",
        "0000.jsonl": b"x",
        b"\xff\xfe": b"x",
        "approvals/1.txt": b"x",
        "key.note/x": b"x",
    }
    with capture_logs() as logs:
        found = await taken(redis_url, story, {**story.signed, **junk})
    bad = {*junk}
    assert {*found} == {*story.signed} - bad
    told = {line["path"] for line in logs if line["event"] == "signed.refused"}
    assert len(told) == len(junk) - 1


@pytest.mark.parametrize("change", ["missing", "cut", "other lines", "other key", "twice", "huge"])
@pytest.mark.parametrize("which", ["key.note", "last"])
async def test_what_the_order_rests_on_is_refused_aloud(
    redis_url: str, story: SignedStory, which: str, change: str
) -> None:
    size = len(story.lines)
    path = which if which == "key.note" else at(size)
    raw, fresh = story.signed[path], Keys.fresh()
    foreign = story.delegate(story.lines, fresh) if which == "key.note" else note_at(story.lines, size, fresh)
    shifted = (
        story.delegate(story.lines, story.keys, genesis="0" * 64)
        if which == "key.note"
        else note_at([*story.lines[:-1], b"x"], size, story.keys)
    )
    wrong = {
        "cut": raw[:-2],
        "other lines": shifted,
        "other key": foreign,
        "twice": raw + Note.parse(foreign).signatures[0].line().encode() + b"\n",
        "huge": raw + b"x" * 300_000,
    }
    stored = {name: content for name, content in story.signed.items() if name != path}
    if change != "missing":
        stored[path] = wrong[change]
    with pytest.raises(GatewrightError, match="GW-SIGNED-FOREIGN"):
        await taken(redis_url, story, stored)


async def test_a_delegation_after_the_first_record_is_refused(redis_url: str, story: SignedStory) -> None:
    late = story.delegate(story.lines, story.keys, since_ms=2**50)
    with pytest.raises(GatewrightError, match="GW-SIGNED-FOREIGN"):
        await taken(redis_url, story, {**story.signed, "key.note": late})


async def test_an_order_on_another_head_is_refused(redis_url: str, story: SignedStory) -> None:
    order, _ = ordered(story)
    other = base64.b64encode(bytes(32)).decode()
    with pytest.raises(GatewrightError, match="another head"):
        await taken(redis_url, story, story.signed, checkpoint=f"{order.checkpoint.rpartition(' ')[0]} {other}")


async def test_after_a_rotation_the_key_of_record_0_still_speaks_for_its_task(
    redis_url: str, story: SignedStory
) -> None:
    """The order's signature, by the key of now, covers record 0, which names the key of then."""
    assert await taken(redis_url, story, story.signed, public=InstanceKey.generate().public) == story.signed


async def test_a_sealed_task_whose_key_was_lost_is_delivered_with_what_there_is(
    redis_url: str, story: SignedStory
) -> None:
    stored = {path: raw for path, raw in story.signed.items() if path != at(len(story.lines))}
    with capture_logs():
        found = await taken(redis_url, story, stored, checkpoint="")
    assert "key.note" in found
    assert at(1) in found


async def test_a_journal_that_nobody_signs_has_nothing_signed(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        await redis.hset(NAMES.signed, "key.note", b"x")
        assert await notes.signed(redis, NAMES, ORDER, (), bytes(32)) == {}
