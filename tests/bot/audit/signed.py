"""Whole signed and sealed tasks for tests, by our own primitives (about 1 s, nearly all git; signing anew 5 ms).

Fixtures `sealed` (a copy of one told once) and `story` are in conftest.py.


    task = SignedStory(tmp_path).until_sealed()      # real git: base, commits with trailers, merge on main, audit ref
    task.files()                                     # the sealed folder: path below the task's folder -> bytes
    task.trust_file()                                # Path of a trust file; task.trust_file(keys=[...]) changes parts
    task.log.write(tmp_path / "log")                 # the instance log as a directory (task.trust_file(log_dir=...))
    judged(task.files(), trust=...)                  # the verdict about files alone, without git

What attackers do:

    lines = task.forge(lambda records: ...)                    # edit records, number and chain all anew (Story.forge)
    task.files(lines)                                          # our notes and seal beside other lines
    task.files(lines, task.resign(lines))                      # all signed anew by the task's own (stolen) key
    task.files(lines, task.resign(lines, Keys.fresh()))        # all signed anew by somebody's keys
    task.files(lines, task.resign(lines, log=None, is_sealed=False))   # without proofs; without a seal
    {path: raw for path, raw in task.files().items() if "proofs/" not in path}       # parts dropped
    task.archive(files); task.store_files(files)               # on the audit ref; in the work tree

`SignedStory(tmp_path, witnesses=(key,), tsa=Tsa(tmp_path))` adds cosignatures to every head of the log and an RFC 3161
token over the seal's note (openssl; begin such a story near the real clock: `now=recently()`). Two tasks share a log
with `log=other.log`. `Keys` holds the keys of instance and task; every step of `Story` works as in
tests/bot/audit/story.py.
"""

from __future__ import annotations

import hashlib
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bot import __version__
from bot.audit import kinds, layout, merkle, seal, statement
from bot.audit.chain import digest
from bot.audit.delegation import Delegation, key_name
from bot.audit.folder import Folder
from bot.audit.keys import InstanceKey, VKey
from bot.audit.note import Checkpoint, Note, Proof, cosign
from bot.audit.place import Found
from bot.audit.record import decode
from bot.audit.sheet import Sheet, Verdict
from bot.audit.verify import judge
from bot.model.state import Gate
from bot.model.task import Profile
from tests.bot.audit.story import ISSUE, TASK, TOM, Story, git

INSTANCE = "gw-test"
SIGNED_AFTER = ("approval.requested", "approval", "ruling", "pushed", "task.closed", "seal")


class Keys(msgspec.Struct, frozen=True):
    """Who signs: the instance, and one task."""

    instance: InstanceKey
    task: InstanceKey

    @classmethod
    def fresh(cls) -> Keys:
        """Make keys that nobody knows."""
        return cls(InstanceKey.generate(), InstanceKey.generate())

    def vkeys(self, task: str = TASK, instance: str = INSTANCE) -> tuple[VKey, VKey]:
        """Spell the public halves: instance, task."""
        return VKey(instance, self.instance.public), VKey(key_name(instance, task), self.task.public)


class Witness(msgspec.Struct, frozen=True):
    """Somebody who cosigns heads of the log."""

    name: str = "witness.example.org"
    key: InstanceKey = msgspec.field(default_factory=InstanceKey.generate)

    def vkey(self) -> str:
        return str(VKey(self.name, self.key.public))


class Log:
    """An instance log: canonical lines, heads signed by the instance and cosigned by witnesses."""

    def __init__(self, key: InstanceKey, name: str = INSTANCE, witnesses: Sequence[Witness] = ()) -> None:
        self.key, self.name, self.witnesses = key, name, tuple(witnesses)
        self.lines: list[bytes] = []
        self.heads: dict[int, bytes] = {}

    def add(self, entry: Mapping[str, Any]) -> int:
        """Append an entry unless it is there; answer its index."""
        line = msgspec.json.encode(dict(entry), order="sorted")
        if line not in self.lines:
            self.lines.append(line)
        return self.lines.index(line)

    def checkpoint(self) -> Checkpoint:
        """Compute the head as of now."""
        return Checkpoint(self.name, len(self.lines), merkle.root(self.lines))

    def head(self, time_s: int = 1_795_300_600) -> Note:
        """Sign the head as of now."""
        text = str(self.checkpoint())
        note = Note.sign(text, self.name, self.key.public, self.key)
        note = note.plus(cosign(text, one.name, one.key.public, one.key, time_s) for one in self.witnesses)
        self.heads[len(self.lines)] = bytes(note)
        return note

    def proof(self, index: int, head: Note) -> bytes:
        """Prove an entry under a head over all entries."""
        return bytes(Proof(index, merkle.inclusion([merkle.leaf(line) for line in self.lines], index), head))

    def write(self, directory: Path) -> Path:
        """Publish the log."""
        head = bytes(self.head())
        (directory / "entries").mkdir(parents=True, exist_ok=True)
        (directory / "checkpoints").mkdir(exist_ok=True)
        for start in range(0, len(self.lines), 1_000):
            batch = b"".join(line + b"\n" for line in self.lines[start : start + 1_000])
            (directory / "entries" / f"{start // 1_000:06d}.jsonl").write_bytes(batch)
        for size, raw in self.heads.items():
            (directory / "checkpoints" / f"{size:010d}.note").write_bytes(raw)
        (directory / "checkpoint").write_bytes(head)
        return directory


class Tsa:
    """A time stamping authority of our own, by openssl; `pem` is its root certificate."""

    def __init__(self, root: Path) -> None:
        self.home = root / "tsa"
        self.home.mkdir(parents=True)
        (self.home / "ext").write_text("extendedKeyUsage=critical,timeStamping\nkeyUsage=critical,digitalSignature\n")
        (self.home / "serial").write_text("01\n")
        (self.home / "ts.cnf").write_text(
            "[tsa]\ndefault_tsa=t\n[t]\nserial=./serial\nsigner_digest=sha256\ndefault_policy=1.2.3.4.1\n"
            "digests=sha256\naccuracy=secs:1\nordering=no\ness_cert_id_alg=sha256\n"
        )
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        self._run("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=root", "-days", "3650")
        self._run("req", *curve, "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=tsa")
        self._run(
            "x509", "-req", "-in", "tsa.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", "2", "-days", "3650",
            "-extfile", "ext", "-out", "tsa.pem",
        )  # fmt: skip
        self.pem = (self.home / "ca.pem").read_text()

    def stamp(self, content: bytes) -> bytes:
        """Answer a time stamp over SHA-256 of the content, at the machine's time."""
        (self.home / "data").write_bytes(content)
        self._run("ts", "-query", "-data", "data", "-sha256", "-cert", "-out", "query")
        self._run("ts", "-reply", "-queryfile", "query", "-config", "ts.cnf", "-inkey", "tsa.key", "-signer", "tsa.pem",
                  "-out", "reply")  # fmt: skip
        return (self.home / "reply").read_bytes()

    def _run(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.home, check=True, capture_output=True)


def recently() -> int:
    """Begin a story half an hour ago by the machine's clock (Unix ms)."""
    return int(time.time() * 1000) - 1_800_000


def note_at(lines: Sequence[bytes], size: int, keys: Keys, task: str = TASK, instance: str = INSTANCE) -> bytes:
    """Sign a checkpoint over the first lines of a journal with the task's key."""
    name = key_name(instance, task)
    text = str(Checkpoint(name, size, merkle.root(lines[:size])))
    return bytes(Note.sign(text, name, keys.task.public, keys.task))


def due(lines: Sequence[bytes]) -> set[int]:
    """List the sizes at which a journal is signed, whatever orders name besides."""
    after = {seq + 1 for seq, line in enumerate(lines) if decode(line).kind in SIGNED_AFTER}
    return {1, *after, *range(256, len(lines) + 1, 256)} if lines else set()


class SignedStory(Story):
    """One task's story, signed as it grows."""

    def __init__(
        self,
        root: Path,
        *more: Any,
        keys: Keys | None = None,
        witnesses: Sequence[Witness] = (),
        tsa: Tsa | None = None,
        log: Log | None = None,
        now: int = 0,
        **others: Any,
    ) -> None:
        self.keys = keys or Keys.fresh()
        self.log = log or Log(self.keys.instance, witnesses=witnesses)
        self.tsa = tsa
        self.signed: dict[str, bytes] = {}  # path below audit/ -> bytes
        self.ordered: set[int] = set()  # sizes that orders named
        self.root = root
        self.merged = ""
        super().__init__(root, *more, **others)
        self.now = now or self.now

    def opened(self) -> None:
        instance, task = self.keys.vkeys()
        opened = kinds.TaskOpened(
            ":".join((*self.where, "7")), *self.where, 7, "acme/pay", 42, 40021, "main", self.base,
            self.policy.sha256(), "b" * 64, __version__, INSTANCE, str(instance), owner=3, visibility="private",
            author=40022, task_vkey=str(task),
        )  # fmt: skip
        self.add("task.opened", opened, TOM)
        self.add(
            "issue.snapshot", kinds.IssueSnapshot("d-1", 40022, self.now, 42, ISSUE), refs=(self.blob("body", b"x"),)
        )
        file: dict[str, Any] = {"file_sha256": "d" * 64, "file_commit": self.base, "file_by": 40090}
        self.add("policy.changed", kinds.PolicyChanged(self.policy.sha256(), self.policy, "c" * 64, **file))
        self.add("profile.set", kinds.ProfileSet(**msgspec.structs.asdict(Profile()), name="fast"))

    def start(self, step: str) -> int:
        attempt = super().start(step)
        self.ordered.add(len(self.lines))
        return attempt

    def commit(self, files: dict[str, bytes], message: str) -> str:
        """Commit as control's order has it: trailers on what is the bot's, signed files in what is evidence."""
        if message in ("work", "evidence"):
            size = max(self.ordered)
            self.checkpoints(size)
            trailer = Checkpoint.parse(Note.parse(self.signed[_note(size)]).text).trailer
            message += f"\n\nGatewright-Task: {TASK}\nGatewright-Step: 1\nAudit-Checkpoint: {trailer}"
            if message.startswith("evidence"):
                prefix = f"{layout.folder(TASK)}/audit/"
                files = files | {prefix + path: raw for path, raw in self.signed.items()}
        return super().commit(files, message)

    def checkpoints(self, size: int = 0) -> None:
        """Sign what is due up to a size (default: all there is), log it, and keep the proofs."""
        size = size or len(self.lines)
        self.signed |= self.sign(self.lines[:size], self.keys, self.log, known=self.signed)

    def sign(
        self, lines: Sequence[bytes], keys: Keys, log: Log | None, *, known: Mapping[str, bytes] | None = None
    ) -> dict[str, bytes]:
        """Make delegation, notes and proofs for lines; what is `known` stays."""
        made = dict(known or {})
        made.setdefault("key.note", self.delegate(lines, keys))
        for size in sorted(due(lines) | {one for one in self.ordered if one <= len(lines)}):
            made.setdefault(_note(size), note_at(lines, size, keys))
        if log is None:
            return made
        log.add({"kind": "task.opened", "delegation": made["key.note"].decode(), "task": TASK})
        notes = [path for path in sorted(made) if path.startswith("checkpoints/")]
        places = {
            path: log.add({"kind": "task.checkpoint", "note": made[path].decode(), "task": TASK}) for path in notes
        }
        head = log.head(self.now // 1000)
        for path, index in places.items():
            made.setdefault(
                path.replace("checkpoints/", "proofs/").replace(".note", ".tlog-proof"), log.proof(index, head)
            )
        return made

    def delegate(self, lines: Sequence[bytes], keys: Keys, **changes: Any) -> bytes:
        """Have the instance sign for the task's key; `changes` are fields of the delegation."""
        first = decode(lines[0])
        said = msgspec.structs.replace(Delegation(keys.vkeys()[1], first.prev, first.ts), **changes)
        return bytes(said.signed(INSTANCE, keys.instance.public, keys.instance))

    def close(self, **changes: Any) -> None:
        """Append the seal (`changes` are its fields), sign and log it, and stamp it where there is a TSA."""
        self.add("seal", msgspec.structs.replace(seal.closing(seal.read(self.lines)), **changes))
        self.ordered.add(len(self.lines))
        self.checkpoints()
        self.signed |= self.envelope(self.lines, self.keys, self.log)

    def envelope(self, lines: Sequence[bytes], keys: Keys, log: Log | None, **changes: Any) -> dict[str, bytes]:
        """Seal lines: envelope and, with a TSA, the token; `changes` are fields of the predicate."""
        said = said_of(lines, self.lines)
        own = msgspec.structs.replace(said, predicate=msgspec.structs.replace(said.predicate, **changes))
        instance, task = keys.vkeys()
        raw = bytes(statement.envelope(own, ((task, keys.task), (instance, keys.instance))))
        made = {"seal.dsse.json": raw}
        if log is not None:
            hashed = hashlib.sha256(raw).hexdigest()
            log.add({"kind": "task.sealed", "envelope_sha256": hashed, "size": len(lines), "task": TASK})
        if self.tsa is not None:
            made[f"proofs/{len(lines):010d}.tsr"] = self.tsa.stamp(note_at(lines, len(lines), keys))
        return made

    def resign(
        self,
        lines: Sequence[bytes],
        keys: Keys | None = None,
        *,
        log: Log | None = None,
        is_sealed: bool = True,
        **changes: Any,
    ) -> dict[str, bytes]:
        """Sign lines anew as somebody with keys would (default: ours, stolen), in no log unless one is given."""
        keys = keys or self.keys
        made = self.sign(lines, keys, log)
        return made | self.envelope(lines, keys, log, **changes) if is_sealed else made

    def files(
        self, lines: Sequence[bytes] | None = None, signed: Mapping[str, bytes] | None = None
    ) -> dict[str, bytes]:
        """Lay out the whole folder: path below the task's folder -> bytes."""
        prefix = f"{layout.folder(TASK)}/"
        whole = layout.evidence_files(TASK, self.lines if lines is None else lines, self.documents)
        here = {path.removeprefix(prefix): raw for path, raw in whole.items()}
        return here | {f"audit/{path}": raw for path, raw in (self.signed if signed is None else signed).items()}

    def until_sealed(self) -> SignedStory:
        """Tell everything: approve, merge, close, seal, archive."""
        self.until_change_review()
        self.approve(Gate.CHANGE)
        self.merge()
        self.add("task.closed", kinds.TaskClosed("done", "merged"))
        self.close()
        self.archive()
        return self

    def merge(self, *options: str) -> str:
        """Merge the branch into main, which is checked out afterwards; `--squash` works too."""
        branch = f"gatewright/{TASK}-retry"
        git(self.repo, "switch", "-q", "main")
        squash = "--squash" in options
        git(self.repo, "merge", "-q", *(options or ("--no-ff", "--no-edit")), branch)
        if squash:
            git(self.repo, "commit", "-q", "-m", "squashed")
        self.merged = git(self.repo, "rev-parse", "HEAD")
        return self.merged

    def archive(self, files: Mapping[str, bytes] | None = None) -> str:
        """Put a folder on the audit ref, with the head of the branch as parent."""
        index = {"GIT_INDEX_FILE": str(self.repo / ".git" / "archive")}
        for name, content in (self.files() if files is None else files).items():
            oid = git(self.repo, "hash-object", "-w", "--stdin", content=content)
            self._plumb(index, "update-index", "--add", "--cacheinfo", f"100644,{oid},{layout.folder(TASK)}/{name}")
        tree = self._plumb(index, "write-tree")
        parent = git(self.repo, "rev-parse", f"gatewright/{TASK}-retry")
        trailers = f"Gatewright-Task: {TASK}"
        newest = max((path for path in self.signed if path.startswith("checkpoints/")), default="")
        if newest:
            trailers += f"\nAudit-Checkpoint: {Checkpoint.parse(Note.parse(self.signed[newest]).text).trailer}"
        commit = git(self.repo, "commit-tree", tree, "-p", parent, "-m", f"archive\n\n{trailers}")
        git(self.repo, "update-ref", f"refs/gatewright/audit/{TASK}", commit)
        (self.repo / ".git" / "archive").unlink()
        return commit

    def store_files(self, files: Mapping[str, bytes], root: Path | None = None) -> Path:
        """Write a folder below a checkout (default: ours), in place of what is there."""
        top = (root or self.repo) / layout.folder(TASK)
        for old in sorted(top.rglob("*"), reverse=True):
            old.unlink() if old.is_file() else old.rmdir()
        for name, content in files.items():
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            (top / name).write_bytes(content)
        return top

    def trust(self, **changes: Any) -> dict[str, Any]:
        """Say whom the auditor trusts: what is left out or None is not in the file."""
        vkey = str(self.keys.vkeys()[0])
        said: dict[str, Any] = {"schema": "gatewright/trust/v1", "instance": INSTANCE, "keys": [vkey], "revoked": []}
        if self.log.witnesses:
            said["witnesses"] = {"quorum": len(self.log.witnesses), "keys": [one.vkey() for one in self.log.witnesses]}
        if self.tsa is not None:
            said["tsa"] = [self.tsa.pem]
        return {name: value for name, value in (said | changes).items() if value is not None}

    def trust_file(self, **changes: Any) -> Path:
        """Write the trust file."""
        path = self.root / "trust.json"
        path.write_bytes(msgspec.json.encode(self.trust(**changes)))
        return path


def judged(files: Mapping[str, bytes], **more: Any) -> Verdict:
    """Judge a folder's files alone, as if they had been copied out; `more` is what `verify.judge` takes."""
    return judge(Found(Folder(TASK, dict(files)), "test", Sheet()), **more)


def said_of(lines: Sequence[bytes], own: Sequence[bytes]) -> statement.Statement:
    """Derive the statement about lines; where they come to none (an attacker's), ours as far as it can be bent."""
    try:
        return seal.derive(seal.read(lines))
    except seal.SealError:
        true = seal.derive(seal.read(own))
    root = Checkpoint("x", len(lines), merkle.root(lines)).trailer.split(" ")[2]
    bent = msgspec.structs.replace(true.predicate, head=digest(lines[-1]), records=len(lines), root=root)
    journal = hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()
    last = decode(lines[-1])
    return statement.statement(journal, last.data.get("source_sha256", ""), bent)


def _note(size: int) -> str:
    return f"checkpoints/{size:010d}.note"
