"""The log as the leader keeps it: a real Redis, real files, and every place where a process can die."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from starlette.responses import Response

from bot import keyring, witness
from bot.audit import entries, merkle
from bot.audit.delegation import Delegation, key_name
from bot.audit.keys import InstanceKey, VKey
from bot.audit.log import newest, read
from bot.audit.note import Checkpoint, Note, Proof, witness_vkey
from bot.audit.statement import PAYLOAD_TYPE, Envelope, Signed, pae
from bot.audit.timestamp import verify
from bot.settings import Audit, Witness
from bot.tasks import heads, logbook
from bot.tasks.anchored import is_anchored
from bot.tasks.logbook import HEAD, REFUSED, Logbook
from bot.tasks.papers import PENDING, signed_at
from tests.bot.audit.tsa import Authority, Server
from tests.bot.tasks.office import Office
from tests.conftest import ROOT

NAME = "gatewright"


@pytest.fixture
async def office(redis_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    made = Office(redis_url, tmp_path / "data")
    yield made
    await made.close()


@contextlib.asynccontextmanager
async def book(office: Office, audit: Audit | None = None) -> AsyncIterator[Logbook]:
    if audit is not None:
        office.desk.settings = msgspec.structs.replace(office.desk.settings, audit=audit)
    made = Logbook(office.desk)
    yield made
    await made.close()


class Worked:
    """A task that signs for itself."""

    def __init__(self, office: Office, task: str, by: InstanceKey | None = None) -> None:
        self.office, self.task = office, task
        self.own = InstanceKey.generate()
        self.key = VKey(key_name(NAME, task), self.own.public)
        key = by or office.desk.key
        self.delegation = bytes(Delegation(self.key, "ab" * 32, 1).signed(NAME, key.public, key)).decode()

    async def opens(self) -> bytes:
        await self.office.redis.hset(signed_at(self.task), "key.note", self.delegation)
        return await self.asks(entries.TaskOpened(self.delegation, self.task))

    async def reaches(self, size: int, by: InstanceKey | None = None) -> bytes:
        text = str(Checkpoint(self.key.name, size, hashlib.sha256(b"%d" % size).digest()))
        own = by or self.own
        note = bytes(Note.sign(text, self.key.name, own.public, own)).decode()
        await self.office.redis.hset(signed_at(self.task), f"checkpoints/{size:010d}.note", note)
        return await self.asks(entries.TaskCheckpoint(note, self.task))

    async def seals(self, size: int, *signers: InstanceKey) -> bytes:
        body = b"{}"
        signed = [one.sign(pae(PAYLOAD_TYPE, body)) for one in signers or (self.own, self.office.desk.key)]
        envelope = bytes(Envelope("e30=", PAYLOAD_TYPE, tuple(Signed("", b64encode(one).decode()) for one in signed)))
        await self.office.redis.hset(signed_at(self.task), "seal.dsse.json", envelope)
        return await self.asks(entries.TaskSealed(hashlib.sha256(envelope).hexdigest(), size, self.task))

    async def asks(self, entry: entries.Known) -> bytes:
        line = entries.encode(entry)
        await self.office.redis.rpush(PENDING, line)
        return line

    async def has(self, path: str) -> bytes | None:
        return await self.office.redis.hget(signed_at(self.task), path)

    async def proof(self, size: int) -> Proof | None:
        raw = await self.has(f"proofs/{size:010d}.tlog-proof")
        return Proof.parse(raw) if raw else None


def folder(office: Office) -> Path:
    return office.desk.data / "log"


def logged(office: Office) -> list[bytes]:
    """What the log holds besides the announcement of the key."""
    lines = list(read(folder(office)))
    assert lines[0].startswith(b'{"kind":"key.added"')
    return lines[1:]


def holds(office: Office, proof: Proof | None, line: bytes, key: InstanceKey | None = None) -> bool:
    assert proof is not None
    said = Checkpoint.parse(proof.checkpoint.text)
    assert proof.checkpoint.is_by(VKey(NAME, (key or office.desk.key).public))
    assert said.root == merkle.root(list(read(folder(office)))[: said.size])
    return merkle.is_included(line, proof.index, said.size, proof.hashes, said.root)


async def ended(office: Office, task: str, size: int) -> None:
    async with asyncio.timeout(20):
        while not await is_anchored(office.desk, task, size):
            await asyncio.sleep(0.01)


async def test_what_waits_is_logged_proven_and_let_go(office: Office):
    one, two = Worked(office, "1-a"), Worked(office, "2-b")
    lines = [await one.opens(), await one.reaches(1), await two.opens(), await two.reaches(1), await one.reaches(7)]
    async with book(office) as kept:
        assert await kept.turn()
        assert not await kept.turn()
    assert logged(office) == lines
    assert await office.redis.llen(PENDING) == 0
    assert holds(office, await one.proof(1), lines[1])
    assert holds(office, await one.proof(7), lines[4])
    assert holds(office, await two.proof(1), lines[3])
    assert not holds(office, await two.proof(1), lines[1])
    head = newest(folder(office))
    assert Checkpoint.parse(head.text) == Checkpoint(NAME, 6, merkle.root(read(folder(office))))
    assert await office.redis.hgetall(HEAD) == {b"size": b"6", b"root": Checkpoint.parse(head.text).root.hex().encode()}


async def test_the_next_leader_goes_on(office: Office):
    task = Worked(office, "1-a")
    first = [await task.opens(), await task.reaches(1)]
    async with book(office) as kept:
        await kept.turn()
    second = await task.reaches(2)
    async with book(office) as kept:
        await kept.turn()
    assert logged(office) == [*first, second]
    assert holds(office, await task.proof(2), second)


async def test_only_one_replica_writes(office: Office):
    await Worked(office, "1-a").opens()
    async with book(office) as first, book(office) as second:
        await first.turn()
        assert not await second.turn()
        assert office.log.codes("log.trouble") == ["GW-LOG-BUSY"]
        await first.close()
        second._closed_until = 0.0
        line = await Worked(office, "2-b").opens()
        assert await second.turn()
        assert logged(office)[-1] == line


class Died(Exception):
    """The process is gone."""


@pytest.mark.parametrize("at", ["_move", "_prove", "_let_go", "sign"])
async def test_whatever_dies_in_between_nothing_is_lost_nor_doubled(office: Office, monkeypatch, at: str):
    task = Worked(office, "1-a")
    async with book(office) as kept:
        await kept.turn()
    lines = [await task.opens(), await task.reaches(1)]

    async def dies(*_: object, **__: object) -> None:
        raise Died

    async with book(office) as kept:
        monkeypatch.setattr(heads.Heads if at == "sign" else Logbook, at, dies)
        with pytest.raises(Died):
            await kept.turn()
        monkeypatch.undo()
        kept._shut()
    async with book(office) as kept:
        await kept.turn()
    assert logged(office) == lines
    assert holds(office, await task.proof(1), lines[1])
    assert await office.redis.llen(PENDING) == 0


async def test_nothing_unsigned_gets_in_whoever_can_write_to_redis(office: Office):
    thief = InstanceKey.generate()
    good, other = Worked(office, "1-a"), Worked(office, "2-b", by=thief)
    first = await good.opens()
    await other.opens()
    await other.reaches(1)
    await good.reaches(1, by=thief)
    await good.asks(entries.TaskOpened(good.delegation, "3-c"))
    await good.asks(entries.TaskCheckpoint("words", "1-a"))
    await good.seals(9, good.own)
    await good.seals(9, good.own, thief)
    await good.asks(entries.TaskSealed("00" * 32, 9, "1-a"))
    await good.asks(entries.TaskSealed("00" * 32, 9, "4-d"))
    await office.redis.rpush(PENDING, b"words", b"\xff\xfe", b'{"kind":"key.added","note":""}')
    async with book(office) as kept:
        await kept.turn()
    assert logged(office) == [first]
    assert await office.redis.llen(PENDING) == 0
    assert await office.redis.llen(REFUSED) == office.log.events().count("log.refused") == 12
    assert await good.proof(1) is None


async def test_a_folder_beside_the_one_that_is_remembered_is_refused_and_said_once(office: Office, tmp_path: Path):
    task = Worked(office, "1-a")
    await task.opens()
    async with book(office) as kept:
        await kept.turn()
    line = await task.reaches(1)
    async with book(office, Audit(log_dir=str(tmp_path / "other"))) as kept:
        for _ in range(3):
            kept._closed_until = 0.0
            assert not await kept.turn()
    assert office.log.codes("log.trouble") == ["GW-LOG-BEHIND"]
    assert await office.redis.lrange(PENDING, 0, -1) == [line], "it waits for the true one"
    async with book(office, Audit()) as kept:
        await kept.turn()
    assert logged(office)[-1] == line


async def test_two_folders_cannot_both_go_on(office: Office, tmp_path: Path):
    async with book(office) as first:
        await first.turn()
        await office.redis.hset(HEAD, mapping={"size": "1", "root": "00" * 32})  # another replica moved the head
        await Worked(office, "1-a").opens()
        assert not await first.turn()
    assert office.log.codes("log.trouble") == ["GW-LOG-BESIDE"]
    assert Checkpoint.parse(newest(folder(office)).text).size == 1, "nothing was signed"


async def test_another_instances_log_is_not_gone_on_with(office: Office):
    async with book(office) as kept:
        await kept.turn()
    await office.redis.delete(HEAD)
    server = msgspec.structs.replace(office.desk.settings.server, instance="other")
    office.desk.settings = msgspec.structs.replace(office.desk.settings, server=server)
    async with book(office) as kept:
        assert not await kept.turn()
    assert office.log.codes("log.trouble") == ["GW-LOG-ORIGIN"]


async def test_without_a_log_nothing_waits_and_nothing_is_written(office: Office):
    await Worked(office, "1-a").opens()
    async with book(office, Audit(log=False)) as kept:
        await kept.turn()
    assert await office.redis.llen(PENDING) == 0
    assert not folder(office).exists()
    assert await is_anchored(office.desk, "1-a", 3)


async def test_a_torn_entry_is_cut_and_said(office: Office):
    async with book(office) as kept:
        await kept.turn()
    with (folder(office) / "entries/000000.jsonl").open("ab") as file:
        file.write(b'{"kind":"ta')
    async with book(office) as kept:
        await kept.turn()
    assert [fields["bytes"] for name, fields in office.log.lines if name == "log.torn"] == [11]


# -- keys


async def test_a_rotated_key_is_announced_and_signs_from_then_on(office: Office):
    before, task = office.desk.key, Worked(office, "1-a")
    await task.opens()
    async with book(office) as kept:
        await kept.turn()
        keyring.rotate(office.desk.data, NAME)
        office.desk.key = keyring.instance_key(office.desk.data, NAME)
        line = await task.reaches(2)  # the delegation is by the key before
        other = await Worked(office, "2-b").opens()
        await kept.turn()
    lines = logged(office)
    assert lines[-2:] == [line, other]
    added = entries.decode(lines[1])
    note = Note.parse(added.note.encode())
    assert note.is_by(VKey(NAME, before.public))
    assert note.is_by(VKey(NAME, office.desk.key.public))
    assert holds(office, await task.proof(2), line, office.desk.key)


async def test_a_revoked_key_opens_nothing_more_and_what_it_opened_ends_well(office: Office):
    before, task = office.desk.key, Worked(office, "1-a")
    await task.opens()
    async with book(office) as kept:
        await kept.turn()
        keyring.rotate(office.desk.data, NAME)
        office.desk.key = keyring.instance_key(office.desk.data, NAME)
        keyring.revoke(office.desk.data, NAME, office.desk.key, VKey(NAME, before.public), 2)
        good = await task.reaches(2)
        forged = Worked(office, "9-z", by=before)
        await forged.opens()
        await forged.reaches(1)
        await kept.turn()
    kinds = [type(entries.decode(line)).__name__ for line in logged(office)]
    assert kinds == ["TaskOpened", "KeyAdded", "KeyRevoked", "TaskCheckpoint"]
    assert logged(office)[-1] == good


# -- who outside bears witness


@pytest.fixture
def seen(tmp_path: Path, office: Office):
    """A witness of this instance's log."""
    made = witness.make(office.desk.key.vkey(NAME), tmp_path / "w.key", tmp_path / "w.json")
    yield made
    made.close()


def serving(one: witness.Witness) -> Server:
    """The witness over HTTP."""
    from bot.audit.witnessing import Submission

    def answer(raw: bytes) -> tuple[int, bytes]:
        said: Response = one._answer(Submission.parse(raw))
        return said.status_code, bytes(said.body)

    return Server(answer)


def witnessed(server: Server, one: witness.Witness, **more) -> Audit:
    return Audit(witnesses=(Witness(server.url, witness_vkey(one.key)),), witness_timeout=2.0, **more)


async def test_heads_are_cosigned_and_proofs_carry_it(office: Office, seen: witness.Witness):
    task = Worked(office, "1-a")
    await task.opens()
    line = await task.reaches(1)
    with serving(seen) as server:
        async with book(office, witnessed(server, seen)) as kept:
            await kept.turn()
            proof = await task.proof(1)
            assert proof.checkpoint.cosigned_s(seen.key)
            assert holds(office, proof, line)
            await task.reaches(2)
            await kept.turn()
        async with book(office) as kept:  # a leader that does not know how far the witness is
            await task.reaches(3)
            await kept.turn()
    assert (await task.proof(3)).checkpoint.cosigned_s(seen.key)
    assert newest(folder(office)).cosigned_s(seen.key)
    assert seen.held.size == 5


async def test_a_witness_that_is_away_holds_nothing_up_and_is_asked_again_for_the_seal(
    office: Office, seen: witness.Witness, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(logbook, "PAUSES_S", (0.0, 0.05, 0.05))
    task, is_up = Worked(office, "1-a"), False
    with serving(seen) as server:
        real = server._server.RequestHandlerClass.do_POST

        def flaky(handler) -> None:
            if is_up:
                real(handler)
            else:
                handler.send_error(503)

        server._server.RequestHandlerClass.do_POST = flaky
        async with book(office, witnessed(server, seen)) as kept:
            for size in (1, 2, 3):
                await (task.opens() if size == 1 else asyncio.sleep(0))
                await task.reaches(size)
                await kept.turn()
            assert office.log.codes("log.trouble") == ["GW-LOG-WITNESS"], "said once"
            assert (await task.proof(3)).checkpoint.cosigned_s(seen.key) is None
            is_up = True
            await task.seals(3)
            await kept.turn()
            await ended(office, "1-a", 3)
    assert (await task.proof(3)).checkpoint.cosigned_s(seen.key)
    assert "log.well" in office.log.events()
    assert await office.redis.llen(PENDING) == 0
    assert await office.redis.lrange("gw:wake", 0, -1) == [b"1-a"]


async def test_a_seal_is_not_waited_for_for_ever(office: Office, seen: witness.Witness, monkeypatch):
    monkeypatch.setattr(logbook, "PAUSES_S", (0.0, 0.05))
    task = Worked(office, "1-a")
    audit = Audit(witnesses=(Witness("http://127.0.0.1:9", witness_vkey(seen.key)),), tsa_url="http://127.0.0.1:9")
    async with book(office, audit) as kept:
        await task.opens()
        await task.reaches(3)
        await task.seals(3)
        await kept.turn()
        await ended(office, "1-a", 3)
    assert office.log.events().count("seal.unwitnessed") == 1
    assert sorted(office.log.codes("log.trouble")) == ["GW-LOG-TSA", "GW-LOG-WITNESS"]
    assert await task.proof(3) is not None
    assert await office.redis.llen(PENDING) == 0


async def test_a_leader_that_dies_over_a_seal_leaves_it_to_the_next(office: Office, monkeypatch):
    task = Worked(office, "1-a")
    await task.opens()
    await task.reaches(3)
    line = await task.seals(3)
    with monkeypatch.context() as patch:
        patch.setattr(logbook, "PAUSES_S", (30.0,))
        async with book(office) as kept:
            await kept.turn()
    assert await office.redis.lrange(PENDING, 0, -1) == [line]
    async with book(office) as kept:
        await kept.turn()
        await ended(office, "1-a", 3)
    assert logged(office).count(line) == 1
    assert await office.redis.llen(PENDING) == 0


async def test_a_seal_is_stamped(office: Office, tmp_path: Path):
    authority, task = Authority(tmp_path / "tsa"), Worked(office, "1-a")
    with Server(lambda raw: (200, authority.reply(raw))) as server:
        audit = Audit(tsa_url=server.url, tsa_ca=str(authority.folder / "root.pem"))
        async with book(office, audit) as kept:
            await task.opens()
            await task.reaches(2)
            await task.reaches(3)
            await task.seals(3)
            await kept.turn()
            await ended(office, "1-a", 3)
        assert len(server.asked) == 1
    token = await task.has("proofs/0000000003.tsr")
    verify(token, await task.has("checkpoints/0000000003.note"), authority.roots)
    assert await task.has("proofs/0000000002.tsr") is None


async def test_a_stamp_by_somebody_else_is_not_kept(office: Office, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(logbook, "PAUSES_S", (0.0,))
    ours, theirs, task = Authority(tmp_path / "a"), Authority(tmp_path / "b"), Worked(office, "1-a")
    with Server(lambda raw: (200, theirs.reply(raw))) as server:
        audit = Audit(tsa_url=server.url, tsa_ca=str(ours.folder / "root.pem"))
        async with book(office, audit) as kept:
            await task.opens()
            await task.reaches(3)
            await task.seals(3)
            await kept.turn()
            await ended(office, "1-a", 3)
    assert await task.has("proofs/0000000003.tsr") is None
    assert "GW-LOG-TSA" in office.log.codes("log.trouble")


# -- as a process


class Process:
    """`gatewright control` for this office's Redis and state."""

    def __init__(self, office: Office, url: str, folder: Path) -> None:
        config = folder / "gatewright.toml"
        config.write_text(f'[server]\ndata_dir = "{office.desk.data}"\n[redis]\nurl = "{url}"\n')
        self._words = [sys.executable, "-m", "bot", "control", "--config", str(config)]
        self._log = folder / "control.log"
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._running.append(subprocess.Popen(self._words, cwd=ROOT, stdout=log, stderr=log))

    def end(self, number: int = signal.SIGKILL) -> None:
        for one in self._running:
            one.send_signal(number)
            one.wait(20)
        self._running.clear()

    def said(self) -> str:
        return self._log.read_text()


@pytest.fixture
def control(office: Office, redis_url: str, tmp_path: Path):
    made = Process(office, redis_url, tmp_path)
    yield made
    made.end()


async def done(office: Office, count: int) -> None:
    """Wait until so many proofs are stored and nothing waits."""
    async with asyncio.timeout(60):
        while True:
            keys = [key async for key in office.redis.scan_iter("gw:signed:*")]
            proofs = [path for key in keys for path in await office.redis.hkeys(key) if path.endswith(b".tlog-proof")]
            if len(proofs) == count and not await office.redis.llen(PENDING):
                return
            await asyncio.sleep(0.05)


async def test_a_control_that_is_killed_over_and_over_logs_everything(office: Office, control: Process):
    wanted: list[tuple[Worked, int, bytes]] = []
    for round_ in range(4):
        for number in range(40):
            task = Worked(office, f"{round_}-{number}")
            await task.opens()
            wanted.append((task, 1, await task.reaches(1)))
        await office.redis.delete("gw:leader")  # the dead one's claim would have to run out first
        control.start()
        async with asyncio.timeout(60):
            while await office.redis.llen(PENDING) == 80:  # killed as soon as anything was let go
                await asyncio.sleep(0.002)
        control.end()
    await office.redis.delete("gw:leader")
    control.start()
    await done(office, len(wanted))
    control.end(signal.SIGTERM)
    lines = logged(office)
    assert sorted(set(lines)) == sorted(lines), "nothing twice"
    assert len(lines) == 2 * len(wanted)
    for task, size, line in wanted:
        assert holds(office, await task.proof(size), line), control.said()


async def test_two_replicas_and_a_rotation_while_they_run(office: Office, control: Process):
    control.start()
    control.start()
    before, first = office.desk.key, Worked(office, "1-a")
    await first.opens()
    await first.reaches(1)
    await done(office, 1)
    keyring.rotate(office.desk.data, NAME)
    office.desk.key = keyring.instance_key(office.desk.data, NAME)
    async with asyncio.timeout(60):
        while "key.changed" not in control.said():
            await asyncio.sleep(0.05)
    second = Worked(office, "2-b")
    await second.opens()
    line = await second.reaches(1)
    await first.reaches(2)
    await done(office, 3)
    assert holds(office, await second.proof(1), line, office.desk.key)
    assert (await first.proof(1)).checkpoint.is_by(VKey(NAME, before.public))
    assert "Traceback" not in control.said()
