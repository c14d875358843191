"""A genuine task told by our own code: real git commits, real blobs, a whole journal."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bot import __version__
from bot.audit import kinds, layout
from bot.audit.blobs import Blobs
from bot.audit.chain import Draft, Link, digest, extend, genesis
from bot.audit.keys import InstanceKey
from bot.audit.objects import Objects
from bot.audit.record import Outcome, Record, Ref, Who, decode, encode
from bot.audit.trees import Trees
from bot.model.approval import Binding
from bot.model.event import AccountKind
from bot.model.policy import Policy
from bot.model.role import Role
from bot.model.ruling import Case, Moment, Parts, Ruling, Vote
from bot.model.state import Gate
from bot.model.task import Profile
from bot.policy.rules import judge

TASK = "42-k7f3qd"
START = 1_795_300_000_000
SERVICE = Who("inst:gw-test", "service", "system")
AGENT = Who("agent:sonnet", "author", "agent")
QA = Who("agent:sonnet", "qa", "agent")
MIRA = Who("github:40077", "approver", "human")
YOU = Who("local:2", "approver", "human")
JONAS = Who("github:40088", "approver", "human")
TOM = Who("github:40021", "requester", "human")
SPEC = b"# Retry\n\n- AC-1: a failed payment is tried again\n"
PLAN = b"# Plan\n\n1. Wrap the call\n"
QA_REPORT = b"# QA\n\nAll criteria are met.\n"
ISSUE = "1" * 64
GITHUB = ("github", "github.com")

Change = Callable[[list[dict[str, Any]]], object]


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git(repo: Path, *arguments: str, content: bytes | None = None) -> str:
    """Run git without anybody's settings; commits are by a fixed person at a fixed time."""
    person = {"GIT_AUTHOR_NAME": "b", "GIT_AUTHOR_EMAIL": "b@example.org", "GIT_AUTHOR_DATE": "1795300000 +0000"}
    committer = {name.replace("AUTHOR", "COMMITTER"): value for name, value in person.items()}
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(repo), "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull,
    }  # fmt: skip
    done = subprocess.run(
        ["git", "-C", str(repo), *arguments],
        input=content,
        capture_output=True,
        check=True,
        env=environment | person | committer,
    )
    return done.stdout.decode().strip()


def rehash(records: Sequence[dict[str, Any]]) -> list[bytes]:
    """Do what somebody with the file and no key can do: number and chain everything anew."""
    lines: list[bytes] = []
    for seq, record in enumerate(records):
        record["seq"] = seq
        if lines:
            record["prev"] = digest(lines[-1])
        lines.append(encode(msgspec.convert(record, Record)))
    return lines


class Story:
    """The journal of one task as it grows, beside the repository and the blobs it speaks of."""

    def __init__(self, root: Path, policy: Policy | None = None, forge: tuple[str, str] = GITHUB) -> None:
        self.policy = policy or Policy()
        self.where = forge
        self.votes: dict[Gate, list[Vote]] = {gate: [] for gate in Gate}
        self.asked_ms: dict[Gate, int] = {}
        self.parts = Parts(labeller=40021, author=40022)
        self.scope: kinds.ScopeFound | None = None
        self.scopes: set[str] = set()
        self.breakers: list[int] = []
        self.events = 900
        self.repo = root / "repo"
        self.blobs = Blobs(root / "blobs")
        self.documents: dict[str, bytes] = {}
        self.lines: list[bytes] = []
        self.tail = Link(-1, genesis("gw-test", f"{forge[0]}:{forge[1]}:7", TASK))
        self.now = START
        self.attempt = 0
        self.call = 0
        self.results = 0  # of the present attempt
        self.requests: dict[Gate, kinds.ApprovalRequested] = {}
        self.repo.mkdir(parents=True)
        git(self.repo, "init", "-q", "-b", "main")
        self.base = self.commit({"pay.py": b"def pay(): ...\n", "README": b"pay\n"}, "base")
        git(self.repo, "switch", "-q", "-c", f"gatewright/{TASK}-retry")

    @property
    def directory(self) -> Path:
        return self.repo / ".gatewright" / "tasks" / TASK

    def commit(self, files: dict[str, bytes], message: str) -> str:
        for name, content in files.items():
            (self.repo / name).parent.mkdir(parents=True, exist_ok=True)
            (self.repo / name).write_bytes(content)
        git(self.repo, "add", "-A", "-f")
        git(self.repo, "commit", "-q", "--allow-empty", "-m", message)
        return git(self.repo, "rev-parse", "HEAD")

    def source(self, commit: str) -> str:
        with Objects(self.repo / ".git") as objects:
            return Trees(objects).source(commit)

    def add(
        self, kind: str, data: kinds.Data, actor: Who = SERVICE, *, outcome: Outcome = "ok", refs: tuple[Ref, ...] = ()
    ) -> None:
        self.now += 1_500
        made, self.tail = extend(
            self.tail, [Draft(kind, data, actor, "observed", outcome, refs)], task=TASK, now_ms=self.now
        )
        self.lines += made

    def blob(self, name: str, content: bytes) -> Ref:
        return Ref(self.blobs.put(content), name, len(content))

    def start(self, step: str) -> int:
        self.attempt += 1
        self.results = 0
        self.add("attempt.started", kinds.AttemptStarted(self.attempt, step, "sonnet"))
        return self.attempt

    def end(self, step: str, outcome: Outcome = "ok", **more: Any) -> None:
        sums = {"calls": self.results, "tokens_in": 10 * self.results, "tokens_out": 5 * self.results}
        self.add("attempt.ended", kinds.AttemptEnded(self.attempt, step, **(sums | more)), AGENT, outcome=outcome)

    def model(self) -> None:
        self.call += 1
        self.results += 1
        prompt, output = self.blob("prompt", b"please"), self.blob("output", b"done")
        self.add("model.call", kinds.ModelCall(self.attempt, self.call, "claude", "sonnet"), AGENT, refs=(prompt,))
        self.add("model.result", kinds.ModelResult(self.attempt, self.call, "end", 10, 5), AGENT, refs=(output,))

    def tool(self) -> None:
        self.call += 1
        self.add("tool.call", kinds.ToolCall(self.attempt, self.call, "edit"), AGENT)
        self.add("tool.result", kinds.ToolResult(self.attempt, self.call, 0, 3), AGENT)

    def ask(self, gate: Gate, rev: int, artifact: bytes | str, *, source: str = "", head: str = "") -> None:
        digest = self.binding(gate, rev, artifact, source, head).digest()
        request = kinds.ApprovalRequested(gate.value, digest, rev, source_sha256=source, head=head)
        self.requests[gate] = request
        self.add("approval.requested", request)
        self.asked_ms[gate] = self.now

    def binding(self, gate: Gate, rev: int, artifact: bytes | str, source: str = "", head: str = "") -> Binding:
        """Gather what is bound now."""
        digest = artifact if isinstance(artifact, str) else sha(artifact)
        return Binding(
            "gw-test", *self.where, 7, 42, TASK, gate, rev, digest, self.base, self.policy.sha256(), Profile(), ISSUE,
            source, head,
        )  # fmt: skip

    def vote(self, gate: Gate, actor: Who = MIRA, **more: Any) -> None:
        """Let somebody say yes, which decides nothing yet."""
        asked = self.requests[gate]
        self.events += 1
        person = int(actor.id.partition(":")[2]) if actor.type == "human" else 0
        given = Vote(
            person, f"42:{self.events}", asked.digest, "shown", self.now, AccountKind.HUMAN, Role.WRITE, Role.WRITE,
            is_unchanged=True, **more,
        )  # fmt: skip
        self.votes[gate].append(given)
        data = kinds.Approval(gate.value, asked.digest, asked.rev, given.event_id, self.now, "write", "shown")
        self.add("approval", data, actor)

    def rule(self, gate: Gate, moment: Moment = "decision", **more: Any) -> Ruling:
        """Decide, and write down on what."""
        asked = self.requests[gate]
        is_decided = self.scope is None or not self.scope.count or self.scope.scope_sha256 in self.scopes
        digest = more.pop("digest", asked.digest)
        case = Case(
            gate, moment, self.now, digest, asked.digest, self.asked_ms[gate], self.policy.sha256(),
            tuple(self.votes[gate]), self.parts,
            **({"breakers": tuple(self.breakers), "is_scope_decided": is_decided} | more),
        )  # fmt: skip
        ruling = judge(self.policy, case)
        self.add("ruling", kinds.RulingMade(case, ruling), outcome="ok" if ruling.passed else "denied")
        if ruling.passed and moment == "decision":
            people = tuple(one.person for one in ruling.tallies if not one.code)
            people += tuple(p for p in case.breakers if ruling.is_emergency and p not in people)
            self.parts = msgspec.structs.replace(self.parts, **{gate.value: people})
            if gate is Gate.SCOPE and self.scope:
                self.scopes.add(self.scope.scope_sha256)
        return ruling

    def approve(self, gate: Gate, actor: Who = MIRA) -> None:
        """Let somebody say yes, and decide."""
        self.vote(gate, actor)
        self.rule(gate)

    def fall(self, *gates: Gate) -> None:
        """Forget what was approved at gates, as control does; the record that says so is the caller's."""
        self.votes |= {gate: [] for gate in gates}
        self.parts = msgspec.structs.replace(self.parts, **{gate.value: () for gate in gates})

    def say(self, verb: str, actor: Who = MIRA, words: str = "", **more: Any) -> None:
        """Let somebody give an accepted command that takes approvals back."""
        refs = (self.blob("argument", words.encode()),) if words else ()
        self.add(
            "command",
            kinds.Command(verb, "42:901", self.now, accepted=True, permission="write", **more),
            actor,
            refs=refs,
        )
        self.fall(*{"revise": (Gate.PLAN, Gate.CHANGE), "fix": (Gate.CHANGE,)}.get(verb, ()))
        if words or verb == "edit":
            who = int(actor.id.partition(":")[2])
            self.parts = msgspec.structs.replace(self.parts, writer=tuple(sorted({*self.parts.writer, who})))

    def break_glass(self, gate: Gate, *actors: Who) -> None:
        """Let people pass a gate in an emergency."""
        digest = self.requests[gate].digest
        for actor in actors:
            self.events += 1
            data = kinds.Emergency(gate.value, digest, f"42:{self.events}", START + 7 * 86_400_000)
            self.add("emergency", data, actor, refs=(self.blob("reason", b"production is down"),))
            self.breakers.append(int(actor.id.partition(":")[2]))

    def review(self, gate: Gate, actor: Who = TOM, **wrong: Any) -> None:
        """Let somebody say that they have reviewed the emergency at a gate."""
        self.events += 1
        digest = wrong.get("digest", self.requests[gate].digest)
        data = kinds.EmergencyReviewed(gate.value, digest, f"42:{self.events}", self.now)
        self.add("emergency.reviewed", data, actor, refs=(self.blob("reason", b"it was real"),))

    def change_policy(self, policy: Policy) -> None:
        """Put another policy in force, which voids what was approved."""
        self.policy = policy
        self.add("policy.changed", kinds.PolicyChanged(policy.sha256(), policy, "c" * 64))

    def opened(self) -> None:
        vkey = InstanceKey.generate().vkey("gw-test")
        opened = kinds.TaskOpened(
            ":".join((*self.where, "7")), *self.where, 7, "acme/pay", 42, 40021, "main", self.base,
            self.policy.sha256(), "b" * 64, __version__, "gw-test", vkey, owner=3, visibility="private", author=40022,
        )  # fmt: skip
        self.add("task.opened", opened, TOM)
        seen = kinds.IssueSnapshot("d-1", 40022, START, 42, ISSUE)
        self.add("issue.snapshot", seen, refs=(self.blob("body", b"please"),))
        file = {"file_sha256": "d" * 64, "file_commit": self.base, "file_by": 40090}
        self.add("policy.changed", kinds.PolicyChanged(self.policy.sha256(), self.policy, "c" * 64, **file))
        self.add("profile.set", kinds.ProfileSet(**msgspec.structs.asdict(Profile()), name="fast"))

    def head(self) -> str:
        return git(self.repo, "rev-parse", "HEAD")

    def spec(self, text: bytes = SPEC, rev: int = 1, by: Who = MIRA) -> None:
        self.draft_spec(text, rev)
        self.approve(Gate.SPEC, by)

    def draft_spec(self, text: bytes = SPEC, rev: int = 1) -> None:
        """Have a spec written and asked about."""
        self.start("spec")
        self.model()
        self.add("spec.set", kinds.SpecSet(sha(text), rev, self.attempt), AGENT, refs=(self.blob("text", text),))
        self.end("spec")
        self.documents["spec.md"] = text
        self.fall(Gate.SPEC, Gate.PLAN)
        self.ask(Gate.SPEC, rev, text)

    def plan(self, text: bytes = PLAN, rev: int = 1) -> None:
        if self.votes[Gate.SPEC]:
            self.rule(Gate.SPEC, "execution")
        self.start("planning")
        self.model()
        self.add("plan.set", kinds.PlanSet(sha(text), rev, self.attempt), AGENT, refs=(self.blob("text", text),))
        self.end("planning")
        self.documents["plan.md"] = text
        self.fall(Gate.PLAN)
        self.ask(Gate.PLAN, rev, text)
        self.approve(Gate.PLAN)

    def work(self, step: str, content: bytes, findings: int = 0) -> str:
        """Let an attempt make one commit, and look for what goes beyond the plan."""
        for gate in (Gate.SPEC, Gate.PLAN):
            if step == "coding" and self.votes[gate]:
                self.rule(gate, "execution")
        self.start(step)
        self.model()
        self.tool()
        parent = git(self.repo, "rev-parse", "HEAD")
        commit = self.commit({"pay.py": content}, "work")
        tree = git(self.repo, "rev-parse", f"{commit}^{{tree}}")
        source = self.source(commit)
        self.add("commit.intent", kinds.CommitIntent(self.attempt, tree, source, 1), AGENT)
        self.add("commit.made", kinds.CommitMade(self.attempt, commit, tree, parent, source, 1), AGENT)
        self.look(commit, findings)
        if findings:
            bundle = self.blob("bundle", b"work")
            self.add("work.held", kinds.WorkHeld(self.attempt, commit, source), AGENT, refs=(bundle,))
        else:
            self.push(commit)
        self.end(step, commit=commit, source_sha256=source)
        return commit

    def look(self, commit: str, findings: int = 0) -> None:
        """Note what a commit holds beyond the plan."""
        found = tuple(kinds.ScopeFinding("protected", f"ci/{n}.yml") for n in range(findings))
        digest = sha(f"{commit} {findings}".encode())
        self.scope = kinds.ScopeFound(self.attempt, commit, self.source(commit), digest, findings, found)
        self.add("scope.found", self.scope, AGENT, refs=(self.blob("findings", b"[]"),))

    def ask_scope(self, rev: int = 1) -> None:
        """Ask people about what goes beyond the plan."""
        if self.scope is None:
            raise ValueError("nothing was found")
        self.fall(Gate.SCOPE)
        self.ask(Gate.SCOPE, rev, self.scope.scope_sha256, source=self.scope.source_sha256, head=self.scope.commit)

    def push(self, commit: str) -> None:
        """Push the branch."""
        ref = f"refs/heads/gatewright/{TASK}-retry"
        self.add("pushed", kinds.Pushed(self.attempt, ref, commit, len(self.lines)), AGENT)

    def foreign(self, content: bytes | None = None, pusher: int = 40099) -> str:
        """Let a person push to the branch; without content the files stay the same."""
        commit = self.commit({"pay.py": content} if content is not None else {}, "by hand")
        tree = git(self.repo, "rev-parse", f"{commit}^{{tree}}")
        self.add("commit.foreign", kinds.CommitForeign(commit, tree, pusher, content is None))
        if content is not None:
            self.fall(Gate.CHANGE)
            self.parts = msgspec.structs.replace(self.parts, committer=tuple(sorted({*self.parts.committer, pusher})))
        return commit

    def judge(self, commit: str, number: int, verdict: str = "passed") -> None:
        self.start("qa")
        if self.scope is None or self.scope.source_sha256 != self.source(commit):
            self.look(commit)
        code = 0 if verdict == "passed" else 1
        refs = (self.blob("report", b"{}"), self.blob("qa.md", QA_REPORT))
        self.add("test.run", kinds.TestRun(self.attempt, "pytest", commit, code, 40), QA)
        data = kinds.QaVerdict(self.attempt, number, commit, self.source(commit), verdict, 1, 1 - code)
        self.add("qa.verdict", data, QA, refs=refs)
        self.end("qa", commit=commit)
        self.documents["qa.md"] = QA_REPORT
        judged = {"commit": commit, "source_sha256": data.source_sha256}
        self.documents["trace.json"] = json.dumps({"task": TASK, "judged": judged}).encode() + b"\n"

    def publish(self) -> str:
        """Commit the evidence as far as it goes, and ask for the change."""
        self.start("publish")
        source = self.source(git(self.repo, "rev-parse", "HEAD"))
        parent = git(self.repo, "rev-parse", "HEAD")
        commit = self.commit(layout.evidence_files(TASK, self.lines, self.documents), "evidence")
        tree = git(self.repo, "rev-parse", f"{commit}^{{tree}}")
        self.add("commit.made", kinds.CommitMade(self.attempt, commit, tree, parent, source), AGENT)
        self.push(commit)
        self.end("publish", commit=commit, source_sha256=source)
        self.add("pull", kinds.Pull(9, commit, f"gatewright/{TASK}-retry"))
        self.fall(Gate.CHANGE)
        self.ask(Gate.CHANGE, 1, PLAN, source=source, head=commit)
        return commit

    def archive(self) -> str:
        """Put the journal on the audit ref, as a tree of evidence with the work as parent."""
        index = {"GIT_INDEX_FILE": str(self.repo / ".git" / "archive")}
        for name, content in layout.evidence_files(TASK, self.lines, self.documents).items():
            oid = git(self.repo, "hash-object", "-w", "--stdin", content=content)
            self._plumb(index, "update-index", "--add", "--cacheinfo", f"100644,{oid},{name}")
        tree = self._plumb(index, "write-tree")
        commit = git(self.repo, "commit-tree", tree, "-p", "HEAD", "-m", "archive")
        git(self.repo, "update-ref", f"refs/gatewright/audit/{TASK}", commit)
        (self.repo / ".git" / "archive").unlink()
        return commit

    def _plumb(self, environment: dict[str, str], *arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.repo), *arguments], env=os.environ | environment, capture_output=True, check=True
        )
        return done.stdout.decode().strip()

    def until_change_review(self) -> Story:
        """Tell everything up to the open pull request: one failing QA round, one fix."""
        self.opened()
        self.spec()
        self.plan()
        first = self.work("coding", b"def pay(): retry\n")
        self.judge(first, 1, "failed")
        second = self.work("qa_fixer", b"def pay(): retry(3)\n")
        self.judge(second, 2)
        self.publish()
        return self

    def until_done(self) -> Story:
        """Tell everything."""
        self.until_change_review()
        self.approve(Gate.CHANGE)
        self.add("task.closed", kinds.TaskClosed("done", "merged"))
        self.archive()
        return self

    def store(self, lines: Sequence[bytes] | None = None) -> Path:
        """Write the evidence below the checkout without committing it; segments that are too many are removed."""
        files = layout.evidence_files(TASK, self.lines if lines is None else lines, self.documents)
        for old in self.directory.glob("audit/*.jsonl"):
            old.unlink()
        for name, content in files.items():
            (self.repo / name).parent.mkdir(parents=True, exist_ok=True)
            (self.repo / name).write_bytes(content)
        return self.directory

    def forge(self, change: Change) -> list[bytes]:
        """Change records as plain dictionaries and chain everything anew."""
        records = [msgspec.to_builtins(decode(line)) for line in self.lines]
        change(records)
        return rehash(records)
