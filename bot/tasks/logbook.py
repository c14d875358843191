"""The leader's hand on the instance log: takes up what waits in Redis, and lays proofs beside the tasks.

An entry leaves `gw:log:pending` when its proof is stored: whatever dies in between, the next leader does it again, and
an entry that is logged twice does no harm. Tasks wait for none of this, save that the end of one waits for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from redis.exceptions import RedisError

from bot.audit import layout
from bot.audit.entries import BlobsPruned, Known, TaskCheckpoint, TaskSealed, decode, encode
from bot.audit.key_notes import Ring
from bot.audit.log import Head, Log, LogError
from bot.audit.note import Checkpoint, Note
from bot.keyring import key_lines, key_ring, log_folder, remember_key
from bot.model.errors import GatewrightError
from bot.tasks.anchored import DONE_S, done_at
from bot.tasks.desk import Desk
from bot.tasks.heads import Heads
from bot.tasks.papers import PENDING, signed_at
from bot.tasks.plain import raw, text
from bot.tasks.retention import carry_out
from bot.tasks.troubles import Troubles
from bot.tasks.vetting import Unfit, Vetting

HEAD: Final = "gw:log:head"
REFUSED: Final = "gw:log:refused"
BATCH: Final = 500  # entries of one signed head
RECENT: Final = 4_096  # entries whose number is known without reading the log
KEPT: Final = 1_000  # refused entries that somebody may look at
PAUSES_S: Final = (0.0, 1.0, 3.0, 9.0, 15.0)  # before each try to have a seal witnessed and stamped
PATIENCE_S: Final = 45.0  # of all of them
CLOSED_S: Final = 5.0  # before a log that could not be opened is tried again

# The head moves from the one that we know, or not at all: two folders cannot both go on.
MOVE: Final = """
local size, root = redis.call('HGET', KEYS[1], 'size') or '0', redis.call('HGET', KEYS[1], 'root') or ''
if size ~= ARGV[1] or (size ~= '0' and root ~= ARGV[2]) then return size end
redis.call('HSET', KEYS[1], 'size', ARGV[3], 'root', ARGV[4])
return 'ok'
"""


class Logbook:
    """One replica's part in keeping the log; only the leader calls `turn`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.folder = log_folder(desk.settings, desk.data)
        self._log: Log | None = None
        self._moved = Head(0, b"")  # what Redis remembers
        self._recent: dict[bytes, int] = {}
        self._ring = Ring()
        self._told: tuple[bytes, ...] = ()  # what files say about keys, as far as it is in the log
        self._seen: tuple[object, ...] = ()  # key and files as of the last look
        self._troubles = Troubles(desk.log)
        self._heads = Heads(desk, self._troubles)
        self._closed_until = 0.0
        self._turning: asyncio.Task[bool] | None = None
        self._lock = asyncio.Lock()
        self._jobs: dict[bytes, asyncio.Task[None]] = {}

    async def turn(self) -> bool:
        """Take up what waits; tell whether there was anything. Trouble is logged once; the next turn tries again."""
        self._turning = asyncio.create_task(self._turn())
        return await asyncio.shield(self._turning)  # a thread that writes is not to be left alone: `close` waits for it

    async def _turn(self) -> bool:
        if not self._desk.settings.audit.log:
            return bool(await self._desk.redis.delete(PENDING))
        now = asyncio.get_running_loop().time()
        if now < self._closed_until:
            return False
        async with self._lock:
            try:
                log = self._log or await self._open()
                await self._announce(log)
                lines = [raw(one) for one in await self._desk.redis.lrange(PENDING, 0, BATCH - 1)]
                news = [line for line in dict.fromkeys(lines) if line not in self._jobs]
                entries = await self._take(log, news) if news else {}
                await self._heads.sign(log)
                marks = [(line, one) for line, one in entries.items() if isinstance(one, TaskCheckpoint)]
                await self._prove(log, marks)
                for one in entries.values():
                    if isinstance(one, BlobsPruned):  # it stands in the log now
                        await asyncio.to_thread(carry_out, self._desk.blobs, one)
                await self._let_go([line for line in news if not isinstance(entries.get(line), TaskSealed)])
            except (LogError, OSError) as error:
                self._troubles.say("log", error)
                self._shut()
                self._closed_until = now + CLOSED_S
                return False
            except GatewrightError as error:
                self._troubles.say("log", error)
                return False
        self._troubles.over("log")
        for line, one in entries.items():
            if isinstance(one, TaskSealed):
                self._jobs[line] = asyncio.create_task(self._end(line, one))
        return bool(news)

    async def close(self) -> None:
        """Let another replica keep the log, once what was begun is done."""
        if self._turning is not None:
            await asyncio.gather(self._turning, return_exceptions=True)
        for job in list(self._jobs.values()):
            job.cancel()
        await asyncio.gather(*self._jobs.values(), return_exceptions=True)
        self._jobs.clear()
        await self._heads.close()
        self._shut()

    @property
    def is_open(self) -> bool:
        """Tell whether this replica holds the log."""
        return self._log is not None

    def _shut(self) -> None:
        if self._log is not None:
            self._log.close()
        self._log, self._heads.note, self._told, self._seen, self._recent = None, None, (), (), {}

    @property
    def _name(self) -> str:
        return self._desk.settings.server.instance

    async def _open(self) -> Log:
        size, root = await self._desk.redis.hmget(HEAD, ["size", "root"])
        self._moved = Head(int(text(size) or 0), bytes.fromhex(text(root)))
        self._told, self._recent = (), {}
        known: set[bytes] = set()

        def see(number: int, line: bytes) -> None:
            if line.startswith(b'{"kind":"key.'):
                known.add(line)
            self._remember(line, number)

        log = await asyncio.to_thread(Log.open, self.folder, self._moved, see)
        try:
            self._heads.note = self._own(log.published())
            if log.torn:
                self._desk.log.warning("log.torn", bytes=log.torn.size, sha256=log.torn.sha256)
            self._told = tuple(line for line in key_lines(self._desk.data) if line in known)
            await self._move(log)
        except BaseException:
            log.close()
            raise
        self._log = log
        self._desk.log.info("log.open", folder=str(self.folder), entries=log.head.size)
        return log

    def _own(self, head: Note | None) -> Note | None:
        """Take a head of this instance; raise LogError for another one's."""
        if head and Checkpoint.parse(head.text).origin != self._name:
            raise LogError(
                "GW-LOG-ORIGIN", f"the log in {self.folder} is another instance's", why=f"ours is {self._name}",
                fix="name the right folder in [audit] log_dir, or the instance as it was",
            )  # fmt: skip
        return head

    async def _announce(self, log: Log) -> None:
        """Log what the files of this machine say about the instance's keys."""
        lines = key_lines(self._desk.data)
        if self._seen == (self._desk.key.public, lines):
            return
        await asyncio.to_thread(remember_key, self._desk.data, self._name, self._desk.key)
        self._ring, lines = key_ring(self._desk.data), key_lines(self._desk.data)
        await self._append(log, [line for line in lines if line not in self._told])
        self._told, self._seen = lines, (self._desk.key.public, lines)

    async def _take(self, log: Log, lines: Sequence[bytes]) -> dict[bytes, Known]:
        """Log what may be logged and is not yet; answer with all that stands in the log now."""
        vetting = Vetting(self._desk, self._ring, lambda line: self._number(log, line))
        entries: dict[bytes, Known] = {}
        for line in lines:
            try:
                entries[line] = decode(line) if line in self._recent else await vetting.entry(line)
            except Unfit as error:
                self._desk.log.warning("log.refused", why=str(error), entry=line[:200].decode("utf-8", "replace"))
                async with self._desk.redis.pipeline(transaction=True) as pipe:
                    pipe.lpush(REFUSED, line)
                    pipe.ltrim(REFUSED, 0, KEPT - 1)
                    await pipe.execute()
        await self._append(log, [line for line in entries if line not in self._recent])
        return entries

    async def _append(self, log: Log, lines: Sequence[bytes]) -> None:
        if lines:
            first = await asyncio.to_thread(log.append, lines)
            for number, line in enumerate(lines, first):
                self._remember(line, number)
            await self._move(log)

    async def _move(self, log: Log) -> None:
        """Have Redis remember how far the log goes; raise LogError where another folder went on meanwhile."""
        now = log.head
        if now == self._moved:
            return
        words = [str(self._moved.size), self._moved.root.hex(), str(now.size), now.root.hex()]
        if text(await self._desk.redis.eval(MOVE, 1, HEAD, *words)) != "ok":
            raise LogError(
                "GW-LOG-BESIDE", f"another folder than {self.folder} holds the instance log",
                why=f"Redis remembers another head than that of {self._moved.size} entries",
                fix="have all replicas use one folder, or one machine; docs/operations.md, Instance log",
            )  # fmt: skip
        self._moved = now

    async def _prove(self, log: Log, entries: Sequence[tuple[bytes, TaskCheckpoint]]) -> None:
        """Store a proof beside each checkpoint."""
        head = self._heads.note
        if head is None or not entries:
            return
        async with self._desk.redis.pipeline(transaction=False) as pipe:
            for line, entry in entries:
                number = self._number(log, line)
                if number is not None:
                    size = Checkpoint.parse(Note.parse(entry.note.encode()).text).size
                    pipe.hset(signed_at(entry.task), _proof(size), bytes(log.proof(number, line, head)))
            await pipe.execute()

    async def _let_go(self, lines: Sequence[Any]) -> None:
        async with self._desk.redis.pipeline(transaction=True) as pipe:
            for line in lines:
                pipe.lrem(PENDING, 0, line)
            await pipe.execute()

    async def _end(self, line: Any, sealed: TaskSealed) -> None:
        """Get a sealed task what it gets from outside, for as long as that may take; then it is not waited for."""
        done = (False, False)
        try:
            async with asyncio.timeout(PATIENCE_S):
                for pause in PAUSES_S:
                    await asyncio.sleep(pause)
                    done = (done[0] or await self._stamp(sealed), done[1] or await self._prove_end(sealed))
                    if all(done):
                        break
        except TimeoutError:
            pass
        except (GatewrightError, RedisError, OSError) as error:
            self._troubles.say(f"seal {sealed.task}", error)
        if not all(done):
            self._desk.log.warning("seal.unwitnessed", task=sealed.task, stamped=done[0], cosigned=done[1])
        try:
            async with self._desk.redis.pipeline(transaction=True) as pipe:
                pipe.set(done_at(sealed.task), str(sealed.size), ex=DONE_S)
                pipe.lrem(PENDING, 0, line)
                pipe.lpush("gw:wake", sealed.task)
                await pipe.execute()
        except RedisError as error:
            self._troubles.say(f"seal {sealed.task}", error)  # the entry still waits: the next turn begins it again
        self._jobs.pop(line, None)

    async def _stamp(self, sealed: TaskSealed) -> bool:
        """Have the last note of a task stamped; tell whether it is, or nobody is to be asked."""
        signed, path = signed_at(sealed.task), f"proofs/{sealed.size:010d}.tsr"
        if not self._desk.settings.audit.tsa_url or await self._desk.redis.hexists(signed, path):
            return True
        note = await self._desk.redis.hget(signed, _note(sealed.size))
        token = await self._heads.stamp(raw(note)) if note is not None else None
        if token is not None:
            await self._desk.redis.hset(signed, path, token)
        return token is not None

    async def _prove_end(self, sealed: TaskSealed) -> bool:
        """Prove the last note of a task below a head that all witnesses signed; tell whether it is."""
        note = await self._desk.redis.hget(signed_at(sealed.task), _note(sealed.size))
        if note is None or self._log is None:
            return False
        entry = TaskCheckpoint(raw(note).decode(), sealed.task)
        async with self._lock:
            log = self._log
            if log is None or self._number(log, encode(entry)) is None:
                return False
            is_cosigned = await self._heads.cosign(log, is_urgent=True)
            await self._prove(log, [(encode(entry), entry)])
        return is_cosigned

    def _number(self, log: Log, line: bytes) -> int | None:
        number = self._recent.get(line)
        return number if number is not None else log.find([line]).get(line)

    def _remember(self, line: bytes, number: int) -> None:
        self._recent[line] = number
        if len(self._recent) > RECENT:
            del self._recent[next(iter(self._recent))]


def _note(size: int) -> str:
    return layout.checkpoint(size).removeprefix("audit/")


def _proof(size: int) -> str:
    return f"proofs/{size:010d}.tlog-proof"
