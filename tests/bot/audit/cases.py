"""All 71 cases of the catalogue of tampering as a table: what is done, at which level it shows, by which check.

`CASES` are those that have to be caught; a number may stand there several times, once for each way. `UNPROVEN` are
those that no verifier of these files can catch: what it has to say instead. Both verifiers run them:
test_tampering_table.py (ours) and test_single_file.py (docs/verify.py beside ours).
"""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bot.audit import layout
from bot.audit.blobs import Blobs
from bot.audit.keys import InstanceKey
from bot.audit.merkle import root
from bot.audit.record import decode
from bot.audit.trust import load
from bot.audit.verify import Terms, terms
from bot.model.policy import GateRule, Policy
from tests.bot.audit.signed import Keys, SignedStory
from tests.bot.audit.story import SPEC, TASK, TOM, git, sha

AUDIT = f"refs/gatewright/audit/{TASK}"
JOURNAL = "audit/0000.jsonl"
SEAL = "audit/seal.dsse.json"
YEAR = 365 * 86_400_000
Records = list[dict[str, Any]]


class Subject(msgspec.Struct, frozen=True):
    """What is handed to a verifier."""

    path: Path
    trust: Path
    rev: str | None = None
    log: Path | None = None
    everything: bool = False  # `--all`

    def terms(self, level: int | None = None) -> Terms:
        """Judge by its trust file and log."""
        return terms(load(self.trust), self.log, level)


Make = Callable[[SignedStory, Path], Subject]


class Case(msgspec.Struct, frozen=True):
    """One way to tamper: `level` is the one that catches it, `code` the exit code there, `check` who says so.

    `reached` is the level that is left (default: the one below); `alone` is the exit code of docs/verify.py where it
    is not ours, because what catches it lies above level 3.
    """

    number: int
    name: str
    make: Make
    level: int
    check: str
    code: int = 1
    reached: str = ""
    alone: int | None = None

    def __str__(self) -> str:
        return f"{self.number:02d} {self.name}"

    @property
    def left(self) -> tuple[str, ...]:
        """Name the levels that may be left."""
        below = {1: ("nothing", "L0")}.get(self.level, (f"L{self.level - 1}",))
        return (self.reached,) if self.reached else below


def at(task: SignedStory, kind: str, nth: int = 0) -> int:
    """Find a record by its kind."""
    return [seq for seq, line in enumerate(task.lines) if decode(line).kind == kind][nth]


def record(task: SignedStory, seq: int) -> dict[str, Any]:
    """Read a record as a plain dictionary."""
    read: dict[str, Any] = msgspec.to_builtins(decode(task.lines[seq]))
    return read


def folder(task: SignedStory, files: Mapping[str, bytes], name: str = TASK, **more: Any) -> Subject:
    """Copy a folder out."""
    top = task.root / "copy" / name
    shutil.rmtree(top, ignore_errors=True)
    for path, raw in files.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_bytes(raw)
    return Subject(top, task.trust_file(**more))


def repo(task: SignedStory, rev: str | None = None, **more: Any) -> Subject:
    """Hand the repository over."""
    return Subject(task.repo, task.trust_file(**more), rev)


def raw(change: Callable[[list[bytes]], object]) -> Make:
    """Change lines, and leave everything else."""

    def make(task: SignedStory, tmp: Path) -> Subject:
        lines = list(task.lines)
        change(lines)
        return folder(task, task.files(lines))

    return make


def anew(change: Callable[[SignedStory, Records], object]) -> Make:
    """Change records and chain all anew, signed and logged as if the instance had written it: only meaning is left."""

    def make(task: SignedStory, tmp: Path) -> Subject:
        lines = task.forge(lambda records: change(task, records))
        return folder(task, task.files(lines, task.resign(lines, log=task.log)))

    return make


def put(**files: bytes | None) -> Make:
    """Replace files of the folder; None takes one away."""

    def make(task: SignedStory, tmp: Path) -> Subject:
        whole = task.files() | files
        return folder(task, {name: content for name, content in whole.items() if content is not None})

    return make


def edit(path: str, change: Callable[[bytes], bytes]) -> Make:
    """Change one file of the folder."""
    return lambda task, tmp: folder(task, task.files() | {path: change(task.files()[path])})


def last_note(size: int) -> tuple[str, str]:
    """Name a checkpoint and its proof."""
    return layout.checkpoint(size), f"audit/proofs/{size:010d}.tlog-proof"


def cut(task: SignedStory, size: int) -> dict[str, bytes]:
    """Cut the journal, and all that was signed beyond."""
    kept = {p: r for p, r in task.signed.items() if p == "key.note" or p.split("/")[-1][:10] <= f"{size:010d}"}
    files = task.files(task.lines[:size], kept)
    later = ("qa.md", "trace.json") if size < at(task, "qa.verdict") else ()
    return {name: content for name, content in files.items() if name not in later}


# ------------------------------------------------------------------------------------------- bytes and lines (1 to 18)


def torn(task: SignedStory, tmp: Path) -> Subject:
    files = cut(task, len(task.lines) - 1)
    return folder(task, files | {JOURNAL: files[JOURNAL] + task.lines[-1][:70]})


def segmented(order: Sequence[int | None]) -> Make:
    """Cut the journal into three segments and put others in their places."""

    def make(task: SignedStory, tmp: Path) -> Subject:
        parts = [b"".join(line + b"\n" for line in task.lines[a:b]) for a, b in ((0, 20), (20, 40), (40, None))]
        files = {name: content for name, content in task.files().items() if name != JOURNAL}
        placed = {f"audit/{n:04d}.jsonl": parts[part] for n, part in enumerate(order) if part is not None}
        return folder(task, files | placed)

    return make


def changed(lines: list[bytes], at: int, old: bytes, new: bytes) -> None:
    assert old in lines[at]
    lines[at] = lines[at].replace(old, new, 1)


# --------------------------------------------------------------------------------------- everything anew (19 to 28)


def quietly(task: SignedStory, records: Records) -> None:
    """Delete a tool's call and result, which no sum, gate or draft speaks of."""
    first = at(task, "tool.call")
    del records[first : first + 2]


def with_blobs(task: SignedStory, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Add every blob that was ever stored."""
    stored = {p.name: p.read_bytes() for p in task.blobs.root.rglob("*") if p.is_file()}
    return dict(files) | {f"audit/blobs/{name[:2]}/{name}": content for name, content in stored.items()}


def stolen_blobs_left(task: SignedStory, tmp: Path) -> Subject:
    seq = at(task, "model.call")
    new = task.blobs.root.parent / "mine"
    name = Blobs(new).put(b"please be quiet")

    def other(records: Records) -> None:
        records[seq]["refs"] = [records[seq]["refs"][0] | {"commit": name, "size": 15}]

    lines = task.forge(other)
    files = with_blobs(task, task.files(lines, task.resign(lines)))
    return folder(task, files | {f"audit/blobs/{name[:2]}/{name}": Blobs(new).path(name).read_bytes()})


def stolen(task: SignedStory, tmp: Path) -> Subject:
    """Nothing but the log remembers."""
    lines = task.forge(lambda records: quietly(task, records))
    files = task.files(lines, task.resign(lines))
    return msgspec.structs.replace(folder(task, files), log=task.log.write(task.root / "log"))


def stolen_and_archived(task: SignedStory, tmp: Path) -> Subject:
    lines = task.forge(lambda records: quietly(task, records))
    task.archive(task.files(lines, task.resign(lines)))
    return repo(task, AUDIT)


def attackers(task: SignedStory, tmp: Path) -> Subject:
    keys = Keys.fresh()
    lines = task.forge(lambda records: records[0]["data"].update(task_vkey=str(keys.vkeys()[1])))
    return folder(task, task.files(lines, task.resign(lines, keys)))


def attackers_seal(task: SignedStory, tmp: Path) -> Subject:
    lines = task.forge(lambda records: quietly(task, records))
    signed = task.resign(lines) | task.envelope(lines, Keys.fresh(), None)
    return folder(task, task.files(lines, signed))


def delegated(**changes: Any) -> Make:
    def make(task: SignedStory, tmp: Path) -> Subject:
        return folder(task, task.files() | {"audit/key.note": task.delegate(task.lines, task.keys, **changes)})

    return make


def revoked(task: SignedStory, tmp: Path) -> Subject:
    new, old = InstanceKey.generate(), str(task.keys.vkeys()[0])
    task.log.key = new
    log = task.log.write(task.root / "log")
    made = folder(task, task.files(), keys=[new.vkey("gw-test")], revoked=[{"vkey": old, "log_size": 3}])
    return msgspec.structs.replace(made, log=log)


def rolled_back(task: SignedStory, tmp: Path) -> Subject:
    seen = {"size": len(task.log.lines), "root": base64.b64encode(root(task.log.lines)).decode()}
    subject = folder(task, task.files(), log=seen)
    task.log.lines = task.log.lines[:20]
    return msgspec.structs.replace(subject, log=task.log.write(task.root / "log"))


def two_logs(task: SignedStory, tmp: Path) -> Subject:
    """The auditor saw another log of that size than the one under which this task is proven."""
    lines = [*task.log.lines[:-1], b'{"kind":"task.sealed"}']
    count = int(task.files()[last_note(len(task.lines))[1]].split(b"\n\n")[1].split(b"\n")[1])
    return folder(
        task,
        task.files(),
        log={"size": count, "root": base64.b64encode(root([b"other", *lines[: count - 1]])).decode()},
    )


def unwitnessed(task: SignedStory, tmp: Path) -> Subject:
    from tests.bot.audit.signed import Witness

    return folder(task, task.files(), witnesses={"quorum": 1, "keys": [Witness().vkey()]})


def deleted(task: SignedStory, tmp: Path) -> Subject:
    git(task.repo, "rm", "-rq", layout.folder(TASK))
    git(task.repo, "commit", "-qm", "tidy")
    git(task.repo, "update-ref", "-d", AUDIT)
    made = repo(task)
    return msgspec.structs.replace(made, log=task.log.write(task.root / "log"), everything=True)


# ---------------------------------------------------------------------------------------------- meaning (29 to 45)


def moved(task: SignedStory, tmp: Path) -> Subject:
    """Put another person in the approver's place, everywhere, and leave our signatures."""
    lines = task.forge(lambda records: records.__setitem__(slice(None), renamed(records)))
    return folder(task, task.files(lines))


def renamed(records: Records) -> Records:
    plain = msgspec.json.encode(records).replace(b"40077", b"40055")
    read: Records = msgspec.json.decode(plain)
    return read


def swapped(task: SignedStory, records: Records) -> None:
    records[at(task, "spec.set")]["data"]["spec_sha256"] = sha(SPEC + b"- AC-2: and nobody pays twice\n")
    task.documents["spec.md"] = SPEC + b"- AC-2: and nobody pays twice\n"


def drop(kind: str, nth: int = 0) -> Callable[[SignedStory, Records], object]:
    return lambda task, records: records.pop(at(task, kind, nth))


def update(kind: str, nth: int = 0, **data: Any) -> Callable[[SignedStory, Records], object]:
    return lambda task, records: records[at(task, kind, nth)]["data"].update(data)


def own_approval(task: SignedStory, tmp: Path) -> Subject:
    """Let the requester approve under a policy of four eyes, and say that it counted."""
    strict = SignedStory(tmp / "strict", policy=Policy(spec=GateRule(not_by=("labeller",))))
    strict.opened()
    strict.spec()
    mira, tom = b"40077", TOM.id.rpartition(":")[2].encode()

    def swap(records: Records) -> None:
        records[:] = msgspec.json.decode(msgspec.json.encode(records).replace(mira, tom))

    lines = strict.forge(swap)
    return folder(strict, strict.files(lines, strict.resign(lines, is_sealed=False)))


def qa_by_author(task: SignedStory, records: Records) -> None:
    records[at(task, "qa.verdict", 1)]["actor"]["role"] = "author"


def late_work(task: SignedStory, records: Records) -> None:
    made, began, after = at(task, "commit.made", 1), at(task, "attempt.started", 4), at(task, "qa.verdict", 1) + 2
    records.insert(after, record(task, made) | {"data": record(task, made)["data"] | {"attempt": 99}})
    records.insert(after, record(task, began) | {"data": {"attempt": 99, "step": "qa_fixer"}})


def after_the_seal(task: SignedStory, tmp: Path) -> Subject:
    lines = task.forge(lambda records: records.append(record(task, at(task, "task.closed"))))
    return folder(task, task.files(lines, task.resign(lines, is_sealed=False)))


def dated_back(task: SignedStory, records: Records) -> None:
    """Say that all happened a year before; what the forge said of its own times stands in the approvals."""
    for one in records:
        one["ts"] -= YEAR
        if one["kind"] == "ruling":
            case = one["data"]["case"]
            case["at_ms"] -= YEAR
            case["asked_ms"] -= YEAR


def failed_report(task: SignedStory, tmp: Path) -> Subject:
    return blob_changed("report", -1)(task, tmp)


def elsewhere(task: SignedStory, records: Records) -> None:
    """Make every record another task's; where it lies says which one it should be."""
    for one in records:
        one["task"] = "43-abcdef"


def other_tasks_journal(task: SignedStory, tmp: Path) -> Subject:
    return folder(task, task.files(), name="43-abcdef")


def other_tasks_seal(task: SignedStory, tmp: Path) -> Subject:
    forged = task.envelope(task.lines, task.keys, None, task="43-abcdef")
    return folder(task, task.files(signed=task.signed | forged))


def replayed(task: SignedStory, records: Records) -> None:
    """Take the approval of the plan for that of the spec."""
    other = records[at(task, "approval", 1)]["data"]
    records[at(task, "approval")]["data"].update(digest=other["digest"], event_id=other["event_id"])


# ------------------------------------------------------------------------------------------------ blobs (46 to 51)


def blob_changed(name: str, byte: int) -> Make:
    def make(task: SignedStory, tmp: Path) -> Subject:
        commit = next(r.commit for line in task.lines for r in decode(line).refs if r.name == name)
        files = with_blobs(task, task.files())
        path = f"audit/blobs/{commit[:2]}/{commit}"
        stored = bytearray(files[path])
        stored[byte] ^= 1
        return folder(task, files | {path: bytes(stored)})

    return make


def blob_gone(task: SignedStory, tmp: Path) -> Subject:
    """Delete a blob from the store, which the caller names to the verifier."""
    commit = next(r.commit for line in task.lines for r in decode(line).refs if r.name == "prompt")
    task.blobs.path(commit).unlink()
    return folder(task, task.files())


def blob_planted(task: SignedStory, tmp: Path) -> Subject:
    name = task.blobs.put(b"planted")
    return folder(task, with_blobs(task, task.files()), name=TASK) if name else folder(task, {})


def redacting(task: SignedStory, records: Records, **actor: str) -> None:
    """Put a redaction before the end of the journal."""
    made = record(task, at(task, "task.closed"))
    target = next(r.commit for line in task.lines for r in decode(line).refs if r.name == "prompt")
    made |= {"kind": "blob.redacted", "data": {"target": target, "reason": "personal data"}}
    records.insert(at(task, "task.closed"), made | ({"actor": actor} if actor else {}))
    records[-1]["data"]["redacted"] = 1


def still_there(task: SignedStory, tmp: Path) -> Subject:
    lines = task.forge(lambda records: redacting(task, records))
    return folder(task, with_blobs(task, task.files(lines, task.resign(lines, log=task.log))))


def by_an_agent(task: SignedStory, records: Records) -> None:
    redacting(task, records, id="agent:sonnet", role="author", type="agent")


# -------------------------------------------------------------------------------------------------- git (52 to 63)


def replaced(task: SignedStory, tmp: Path) -> Subject:
    commit = git(task.repo, "rev-parse", AUDIT)
    forged = task.archive(cut(task, 30))
    git(task.repo, "update-ref", AUDIT, commit)
    git(task.repo, "replace", commit, forged)
    shown = git(task.repo, "show", f"{AUDIT}:{layout.folder(TASK)}/{JOURNAL}")
    assert shown.count("\n") == 29, "git itself shows the forgery"
    return repo(task)


def overwritten(name: str, rev: str | None) -> Make:
    """Put another object's bytes in the place of one."""

    def make(task: SignedStory, tmp: Path) -> Subject:
        oid = git(task.repo, "rev-parse", name)
        objects = task.repo / ".git" / "objects"
        forged = git(task.repo, "hash-object", "-w", "--stdin", content=b"{}\n")
        place = objects / oid[:2] / oid[2:]
        place.chmod(0o600)
        place.write_bytes((objects / forged[:2] / forged[2:]).read_bytes())
        assert git(task.repo, "show", name) == "{}", "git itself shows the forgery"
        return repo(task, rev)

    return make


def converted(task: SignedStory, tmp: Path) -> Subject:
    clone = task.root / "clone"
    git(task.repo, "clone", "-q", "-c", "core.autocrlf=true", "-c", "core.eol=crlf", str(task.repo), str(clone))
    git(clone, "fetch", "-q", "origin", "refs/gatewright/*:refs/gatewright/*")
    assert b"\r\n" in (clone / "README").read_bytes()
    return Subject(clone, task.trust_file())


def linked(task: SignedStory, tmp: Path) -> Subject:
    path = task.repo / layout.folder(TASK) / JOURNAL
    shutil.move(path, task.root / "elsewhere.jsonl")
    path.symlink_to(task.root / "elsewhere.jsonl")
    git(task.repo, "commit", "-qam", "link")
    return repo(task, "HEAD")


def submodule(task: SignedStory, tmp: Path) -> Subject:
    name = f"{layout.folder(TASK)}/audit/0001.jsonl"
    git(task.repo, "update-index", "--add", "--cacheinfo", f"160000,{task.base},{name}")
    git(task.repo, "commit", "-qm", "submodule")
    return repo(task, "HEAD")


def shallow(task: SignedStory, tmp: Path) -> Subject:
    clone = task.root / "clone"
    git(task.root, "clone", "-q", "--depth", "2", "--no-local", f"file://{task.repo}", str(clone))
    return Subject(clone, task.trust_file())


def grafted(task: SignedStory, tmp: Path) -> Subject:
    (task.repo / ".git" / "info").mkdir(exist_ok=True)
    (task.repo / ".git" / "info" / "grafts").write_text(f"{task.merged}\n")
    return repo(task)


def forced_back(task: SignedStory, tmp: Path) -> Subject:
    signed = [int(path[12:22]) for path in task.signed if path.startswith("checkpoints/")]
    task.archive(cut(task, max(size for size in signed if size < 30)))
    return repo(task, AUDIT)


def beside(task: SignedStory, tmp: Path) -> Subject:
    lines = task.forge(lambda records: quietly(task, records))
    task.archive(task.files(lines, task.resign(lines)))
    return repo(task)


def squashed(task: SignedStory, tmp: Path) -> Subject:
    """Leave nothing but the squash: commits and trailers are gone, the audit ref too."""
    bare = task.root / "squashed"
    git(task.repo, "switch", "-q", "-C", "main", task.base)
    task.merge("--squash")
    git(task.repo, "clone", "-q", "--bare", "--single-branch", "-b", "main", f"file://{task.repo}", str(bare))
    return Subject(bare, task.trust_file())


def shorter_child(task: SignedStory, tmp: Path) -> Subject:
    """Commit less of the journal than the parent held, on the task's own branch, with true trailers."""
    tip = git(task.repo, "rev-parse", f"gatewright/{TASK}-retry")
    parent = git(task.repo, "rev-parse", AUDIT)
    message = git(task.repo, "log", "-1", "--format=%B", parent)
    git(task.repo, "update-ref", f"refs/heads/gatewright/{TASK}-retry", parent)
    task.archive(cut(task, 30))
    git(task.repo, "update-ref", f"refs/heads/gatewright/{TASK}-retry", tip)
    middle = git(task.repo, "rev-parse", AUDIT)
    tree = git(task.repo, "rev-parse", f"{parent}^{{tree}}")
    git(task.repo, "update-ref", AUDIT, git(task.repo, "commit-tree", tree, "-p", middle, "-m", message))
    return repo(task, AUDIT)


def merged_otherwise(task: SignedStory, tmp: Path) -> Subject:
    (task.repo / "pay.py").write_bytes(b"import steal\n")
    git(task.repo, "commit", "-qa", "--amend", "--no-edit")
    return repo(task)


def foreign(task: SignedStory, tmp: Path) -> Subject:
    git(task.repo, "switch", "-q", f"gatewright/{TASK}-retry")
    task.commit({"pay.py": b"def pay(): steal()\n"}, "by hand")
    git(task.repo, "switch", "-q", "main")
    return repo(task)


def agent_writes(task: SignedStory, tmp: Path) -> Subject:
    class Agent(SignedStory):
        def commit(self, files: dict[str, bytes], message: str) -> str:
            extra = {f"{layout.folder(TASK)}/spec.md": b"# mine\n"} if message == "work" else {}
            return super().commit(files | extra, message)

    return repo(Agent(tmp / "agent").until_sealed(), AUDIT)


def old_policy(task: SignedStory, tmp: Path) -> Subject:
    """Put an older policy back, which was in force once, after people approved under the newer one."""
    older, newer = Policy(), Policy(plan=GateRule(quorum=2))
    story = SignedStory(tmp / "policy", policy=older)
    story.opened()
    story.change_policy(newer)
    story.spec()
    story.plan()  # one yes of two
    again = record(story, at(story, "policy.changed"))

    def back(records: Records) -> None:
        records.insert(at(story, "attempt.started", 1), again)

    lines = story.forge(back)
    return folder(story, story.files(lines, story.resign(lines, is_sealed=False)))


def bot(task: SignedStory, records: Records) -> None:
    records[at(task, "approval")]["actor"] |= {"id": "agent:sonnet", "type": "agent"}


CASES = (
    Case(1, "a bit in a past record", raw(lambda x: changed(x, 26, b'"edit"', b'"exit"')), 1, "chain"),
    Case(2, "a record deleted", raw(lambda x: x.pop(9)), 1, "chain"),
    Case(2, "the first record deleted", raw(lambda x: x.pop(0)), 1, "chain"),
    Case(3, "two records swapped", raw(lambda x: x.insert(8, x.pop(9))), 1, "chain"),
    Case(4, "a copy inserted", raw(lambda x: x.insert(9, x[8])), 1, "chain"),
    Case(5, "the tail cut at a boundary", raw(lambda x: x.__delitem__(slice(-3, None))), 2, "signed"),
    Case(6, "the tail and the seal cut", lambda task, _: folder(task, cut(task, 60)), 2, "seal", 2),
    Case(7, "cut below an anchor", forced_back, 3, "anchors"),
    Case(8, "a torn last line", torn, 1, "chain", 2, "L1"),
    Case(9, "a blank line", raw(lambda x: x.insert(9, b"")), 1, "chain"),
    Case(9, "CRLF", raw(lambda x: x.__setitem__(9, x[9] + b"\r")), 1, "chain"),
    Case(9, "CRLF throughout", raw(lambda x: x.__setitem__(slice(None), [one + b"\r" for one in x])), 1, "chain"),
    Case(9, "a trailing space", raw(lambda x: x.__setitem__(-1, x[-1] + b" ")), 1, "chain"),
    Case(9, "a byte order mark", raw(lambda x: x.__setitem__(0, b"\xef\xbb\xbf" + x[0])), 1, "chain"),
    Case(10, "a key twice", raw(lambda x: changed(x, -1, b'"v":1', b'"v":1,"v":1')), 1, "chain"),
    Case(11, "an escape", raw(lambda x: changed(x, -1, b'"seal"', rb'"\u0073eal"')), 1, "chain"),
    Case(12, "a float", raw(lambda x: changed(x, -1, b'"v":1', b'"v":1.0')), 1, "chain"),
    Case(12, "a truth for a number", raw(lambda x: changed(x, -1, b'"v":1', b'"v":true')), 1, "chain"),
    Case(13, "an unknown field", raw(lambda x: changed(x, -1, b'"v":1', b'"v":1,"w":2')), 1, "chain"),
    Case(14, "a line of 70 KB", raw(lambda x: x.append(b'"' + b"x" * 70_000 + b'"')), 1, "chain"),
    Case(15, "no UTF-8", raw(lambda x: changed(x, -1, b'"done"', b'"d\xffne"')), 1, "chain"),
    Case(15, "a lone surrogate", raw(lambda x: changed(x, -1, b'"done"', rb'"\ud800"')), 1, "chain"),
    Case(16, "an empty journal", put(**{JOURNAL: b""}), 1, "chain"),
    Case(16, "no journal", put(**{JOURNAL: None}), 1, "chain"),
    Case(17, "a segment missing", segmented([0, None, 2]), 1, "files"),
    Case(17, "a segment twice", segmented([0, 1, 1, 2]), 1, "chain"),
    Case(17, "segments renumbered", segmented([0, 2, 1]), 1, "chain"),
    Case(17, "renumbered from one", segmented([None, 0, 1, 2]), 1, "files", reached="L0"),
    Case(18, "a second genesis", raw(lambda x: x.append(x[0])), 1, "chain"),
    Case(18, "two records with one prev", raw(lambda x: x.append(x[-1])), 1, "chain"),
    Case(19, "deleted, all hashed anew, the old seal",
         lambda t, _: folder(t, t.files(t.forge(lambda r: quietly(t, r)))), 2, "signed"),
    Case(20, "the same, signed by an attacker's keys", attackers, 2, "signed"),
    Case(20, "the same, sealed by an attacker's keys", attackers_seal, 2, "seal"),
    Case(21, "the same with stolen keys, anchors left", stolen_and_archived, 3, "anchors"),
    Case(22, "stolen keys, anchors gone, blobs left", stolen_blobs_left, 1, "blobs"),
    Case(23, "stolen keys, anchors and blobs gone", stolen, 4, "log", alone=0),
    Case(24, "a delegation later than its use", delegated(since_ms=9_000_000_000_000), 2, "signed"),
    Case(24, "the task's key used for another journal", delegated(genesis="0" * 64), 2, "signed"),
    Case(25, "logged after its key was revoked", revoked, 4, "log", alone=2),
    Case(26, "an older head of the log", rolled_back, 4, "log", alone=0),
    Case(27, "two logs for two auditors", two_logs, 4, "log", alone=0),
    Case(27, "a log that no witness saw", unwitnessed, 5, "witness", 2, alone=0),
    Case(28, "the whole folder deleted", deleted, 1, "population", 2, alone=4),
    Case(29, "an approval moved to another person", moved, 2, "signed"),
    Case(29, "the same, in its own record only",
         anew(lambda t, r: r[at(t, "approval")]["actor"].update(id="github:40055")), 1, "rulings"),
    Case(30, "the spec swapped after approval", anew(swapped), 1, "spec"),
    Case(30, "the document swapped", put(**{"spec.md": SPEC + b"more\n"}), 1, "spec"),
    Case(31, "an approval dropped", anew(drop("approval")), 1, "rulings"),
    Case(31, "a ruling dropped", anew(drop("ruling")), 1, "spec"),
    Case(32, "an approval by a bot", anew(bot), 1, "spec"),
    Case(33, "the requester approves against policy", own_approval, 1, "rulings"),
    Case(34, "QA by the author", anew(qa_by_author), 1, "qa"),
    Case(35, "a change after the verdict", anew(late_work), 1, "change"),
    Case(36, "a record after the seal", after_the_seal, 1, "end"),
    Case(37, "a tool's result removed", anew(drop("tool.result")), 1, "calls"),
    Case(37, "a model's result removed", anew(drop("model.result")), 1, "calls"),
    Case(38, "dated back with stolen keys", anew(dated_back), 1, "clock", 2, "L4"),
    Case(39, "the test report altered", failed_report, 1, "blobs"),
    Case(40, "tests on another commit", anew(update("test.run", 1, commit="a" * 40)), 1, "tests"),
    Case(41, "the journal of another task", other_tasks_journal, 1, "chain"),
    Case(41, "the task's name rewritten", anew(elsewhere), 1, "chain"),
    Case(42, "the seal of another task", other_tasks_seal, 2, "seal"),
    Case(43, "another type of payload", edit(SEAL, lambda x: x.replace(b"vnd.in-toto", b"vnd.in-tot0")), 2, "seal"),
    Case(44, "the approval of something else replayed", anew(replayed), 1, "spec"),
    Case(44, "an approval of a digest that nobody saw", anew(update("approval", digest="e" * 64)), 1, "spec"),
    Case(45, "an approver's signature made for something else",
         put(**{"audit/approvals/12.sig": b"-----BEGIN SSH SIGNATURE-----\n"}), 1, "files"),
    Case(46, "a blob's content altered", blob_changed("output", -1), 1, "blobs"),
    Case(47, "a blob's salt altered", blob_changed("output", 0), 1, "blobs"),
    Case(48, "a blob deleted without a record", blob_gone, 1, "blobs", 2, "L4", alone=0),
    Case(49, "a file planted among the blobs", blob_planted, 1, "blobs"),
    Case(50, "a redacted blob still there", still_there, 1, "not proven", 0, "L4"),
    Case(51, "a redaction by somebody who may not", anew(by_an_agent), 1, "blobs"),
    Case(52, "git replace", replaced, 1, "", 0, "L4"),
    Case(53, "an overwritten object of evidence", overwritten(f"HEAD:{layout.folder(TASK)}/{JOURNAL}", "HEAD"),
         1, "objects"),
    Case(53, "an overwritten object of the work", overwritten("HEAD:pay.py", AUDIT), 1, "commits", reached="L0"),
    Case(54, "line endings converted", converted, 1, "", 0, "L4"),
    Case(55, "a symbolic link as a journal", linked, 1, "files"),
    Case(55, "a submodule as a journal", submodule, 1, "files", reached="L4"),
    Case(56, "a shallow clone", shallow, 3, "anchors", 2),
    Case(56, "a graft", grafted, 3, "anchors", 2),
    Case(57, "an older journal forced on the audit ref", forced_back, 3, "anchors"),
    Case(57, "another journal on the audit ref", beside, 1, "audit ref", reached="L0"),
    Case(58, "a squash that left its commits behind", squashed, 1, "commits", 2, "L4"),
    Case(59, "less of the journal than the parent held", shorter_child, 3, "anchors"),
    Case(60, "code changed in the merge", merged_otherwise, 1, "merged", reached="L4"),
    Case(61, "a person's commit on the bot's branch", foreign, 1, "foreign", 2, "L4"),
    Case(62, "an agent writes into evidence", agent_writes, 3, "anchors"),
    Case(63, "an older policy put back", old_policy, 1, "rulings"),
)  # fmt: skip


def bare(task: SignedStory, tmp: Path) -> Subject:
    return folder(task, task.files())


def running(task: SignedStory, tmp: Path) -> Subject:
    """A task that still runs, whose last records nothing covers yet."""
    files = cut(task, 57)
    return folder(task, {name: content for name, content in files.items() if name not in last_note(57)})


class Unproven(msgspec.Struct, frozen=True):
    """A case that is out of reach: what ours and the single file have to print."""

    number: int
    name: str
    ours: str
    single: str
    make: Make = bare
    code: int = 0


UNPROVEN = (
    Unproven(64, "a lie when it was written", "what was recorded was true", "what was recorded was true"),
    Unproven(65, "another model was served", "model was the one named", "model was the one named"),
    Unproven(66, "the forge's operator forges", "whoever runs the forge", "whoever runs the forge"),
    Unproven(67, "an approver's stolen account", "accounts and keys were used by nobody else",
             "accounts and keys were used by nobody else"),
    Unproven(68, "the bot bypassed", "no change was made past the bot", "no change was made past the bot"),
    Unproven(69, "SHA-256 or Ed25519 broken", "SHA-256 and Ed25519 hold", "SHA-256 and Ed25519 hold"),
    Unproven(70, "every copy deleted", "deleted together with every copy", "deleted with every copy"),
    Unproven(71, "the tail after the last anchor", "the last 3 records, from record 54 on", "nothing signed covers",
             running, 2),
)  # fmt: skip
