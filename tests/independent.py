"""Evidence checked by somebody who has the format's description and the standard library, and none of our code.

`oracle` takes every decision again by rules written down from docs/governance.md, not from ours.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

KEYS = ["actor", "basis", "data", "kind", "outcome", "prev", "refs", "seq", "task", "ts", "v"]
SHA = re.compile(r"[0-9a-f]{64}")
TABLES = {("policy.changed", "policy"), ("ruling", "case"), ("ruling", "ruling"), ("scope.found", "findings")}
ROLES = ["none", "read", "triage", "write", "maintain", "admin"]
GATES = ("spec", "plan", "scope", "change")
DAY_MS = 86_400_000
WEEK = 7 * 24 * 60


def verify_evidence(task_dir: Path) -> int:
    """Return the number of records, or raise AssertionError that names the first bad record."""
    records = _chain(task_dir)
    _calls(records)
    violations = oracle(records)
    assert not violations, violations[0]
    for name, kind, field in (("spec.md", "spec.set", "spec_sha256"), ("plan.md", "plan.set", "plan_sha256")):
        path = task_dir / name
        wanted = [record for record in records if record["kind"] == kind]
        if path.exists() and wanted:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
            assert found == wanted[-1]["data"][field], f"record {wanted[-1]['seq']}: {name} is not what it names"
    return len(records)


def _chain(task_dir: Path) -> list[dict[str, Any]]:
    segments = sorted((task_dir / "audit").glob("*.jsonl"))
    assert [path.name for path in segments] == [f"{n:04d}.jsonl" for n in range(len(segments))], "record 0: segments"
    journal = b"".join(path.read_bytes() for path in segments)
    assert journal, "record 0: there is none"
    lines = journal.split(b"\n")
    assert lines.pop() == b"", f"record {len(lines)}: no line feed at the end"
    records: list[dict[str, Any]] = []
    previous = ""
    for number, line in enumerate(lines):
        record = _record(line, number)
        if number == 0:
            previous = _genesis(record)
            assert record["task"] == task_dir.name, "record 0: another task's"
        if record["prev"] != previous:
            assert number == 0 or record["seq"] != number, f"record {number - 1}: its hash is not what {number} names"
            raise AssertionError(f"record {number}: it does not follow what is before it")
        assert record["seq"] == number, f"record {number}: calls itself {record['seq']}"
        assert record["task"] == task_dir.name, f"record {number}: belongs to {record['task']}"
        previous = hashlib.sha256(b"gatewright/audit/v1/record\n" + line).hexdigest()
        records.append(record)
    return records


def _record(line: bytes, number: int) -> dict[str, Any]:
    assert len(line) <= 65_536, f"record {number}: too long"
    try:
        record = json.loads(line, object_pairs_hook=_unique, parse_float=_refuse, parse_constant=_refuse)
        canonical = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise AssertionError(f"record {number}: {error}") from None
    assert canonical == line, f"record {number}: not canonical"
    assert isinstance(record, dict), f"record {number}: no object"
    assert sorted(record) == KEYS, f"record {number}: other keys than the eleven"
    assert record["v"] == 1, f"record {number}: unknown version"
    assert SHA.fullmatch(record["prev"]), f"record {number}: prev is no digest"
    for name, value in record["data"].items():
        is_table = (record["kind"], name) in TABLES
        assert is_table or value is None or isinstance(value, (str, int)), f"record {number}: data holds a table"
        assert not isinstance(value, int) or abs(value) < 2**53, f"record {number}: a number beyond 2^53"
    for ref in record["refs"]:
        assert sorted(ref) == ["commit", "name", "size"], f"record {number}: a ref has other keys"
        assert SHA.fullmatch(ref["commit"]), f"record {number}: a ref names no blob"
    return record


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _refuse(text: str) -> Any:
    raise ValueError(f"{text} is no whole number")


def _genesis(record: dict[str, Any]) -> str:
    assert record["kind"] == "task.opened", "record 0: does not open a task"
    data = record["data"]
    whose = {
        "instance": data["instance"],
        "repo": f"{data['forge']}:{data['host']}:{data['repo_id']}",
        "task": record["task"],
    }
    body = json.dumps(whose, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return hashlib.sha256(b"gatewright/audit/v1/genesis\n" + body).hexdigest()


def _calls(records: list[dict[str, Any]]) -> None:
    """Every call of an attempt that ended well has one result."""
    ended = {r["data"]["attempt"] for r in records if r["kind"] == "attempt.ended" and r["outcome"] == "ok"}
    waiting: dict[tuple[str, int, int], int] = {}
    for record in records:
        family, _, what = record["kind"].partition(".")
        if family not in ("model", "tool"):
            continue
        call = (family, record["data"]["attempt"], record["data"]["call"])
        if what == "call":
            waiting[call] = record["seq"]
        else:
            assert call in waiting, f"record {record['seq']}: a result without its call"
            del waiting[call]
    for call, seq in waiting.items():
        assert call[1] not in ended, f"record {seq}: a call without a result"


def oracle(journal: Iterable[bytes | str | dict[str, Any]]) -> list[str]:
    """List where a journal shows code, a push, a merge or a passed gate that its policy did not allow; pure."""
    judge = _Oracle()
    for line in journal:
        judge.take(line if isinstance(line, dict) else json.loads(line))
    return judge.violations


def let_pass(journal: Iterable[bytes | str | dict[str, Any]]) -> set[str]:
    """Name the gates that are let pass as the journal stands, each by rightful approvals of what is in force."""
    judge = _Oracle()
    for line in journal:
        judge.take(line if isinstance(line, dict) else json.loads(line))
    return {gate for gate in GATES if judge.holds(gate)}


class _Oracle:
    """Follows a journal as an auditor with a pencil would."""

    def __init__(self) -> None:
        self.violations: list[str] = []
        self.opened: dict[str, Any] = {}
        self.task = ""
        self.policy: dict[str, Any] = {}
        self.policy_sha256 = ""
        self.bound: dict[str, Any] = {}  # issue, base, profile
        self.drafts: dict[str, tuple[int, str]] = {}
        self.asked: dict[str, dict[str, Any]] = {}
        self.votes: dict[str, list[dict[str, Any]]] = {gate: [] for gate in GATES}
        self.passes: dict[str, tuple[str, set[int]]] = {}  # in force: digest, people
        self.counted: dict[str, set[int]] = {}  # of the last pass, fallen or not
        self.carried: dict[str, str] = {}  # gate -> digest of a second look that held
        self.broken: list[tuple[str, str, int]] = []
        self.writers: set[int] = set()
        self.committers: set[int] = set()
        self.scope: dict[str, Any] | None = None
        self.scopes: set[str] = set()
        self.source = ""
        self.steps: dict[int, str] = {}
        self.licensed = False
        self.alarms: list[str] = []

    def say(self, record: dict[str, Any], what: str) -> None:
        self.violations.append(f"record {record['seq']}: {what}")

    def take(self, record: dict[str, Any]) -> None:
        name = "_" + record["kind"].replace(".", "_")
        if record["kind"] in ("commit.made", "commit.intent", "file.change"):
            self._work(record, record["data"])
        elif hasattr(self, name):
            getattr(self, name)(record, record["data"])

    # What is in force.

    def _task_opened(self, record: dict[str, Any], data: dict[str, Any]) -> None:
        self.opened, self.task = data, record["task"]
        self.bound = {"base_commit": data["base_commit"], "issue_sha256": "", "profile": {}}

    def _issue_snapshot(self, _: dict[str, Any], data: dict[str, Any]) -> None:
        self.bound["issue_sha256"] = data.get("issue_sha256", "")

    def _issue_changed(self, _: dict[str, Any], data: dict[str, Any]) -> None:
        self.bound["issue_sha256"] = data["issue_sha256"]

    def _base_moved(self, _: dict[str, Any], data: dict[str, Any]) -> None:
        self.bound["base_commit"] = data["base_commit"]

    def _profile_set(self, _: dict[str, Any], data: dict[str, Any]) -> None:
        self.bound["profile"] = {phase: model for phase, model in data.items() if phase != "name"}

    def _policy_changed(self, record: dict[str, Any], data: dict[str, Any]) -> None:
        found = hashlib.sha256(b"gatewright/policy/v1\n" + _canonical(data["policy"])).hexdigest()
        if found != data["policy_sha256"]:
            self.say(record, "a policy under another's digest")
        if not self.policy and self.opened["policy_sha256"] != data["policy_sha256"]:
            self.say(record, "the task was opened under another policy")
        self.policy, self.policy_sha256 = data["policy"], data["policy_sha256"]

    def _spec_set(self, _: dict[str, Any], data: dict[str, Any]) -> None:
        self.drafts = {"spec": (data["rev"], data["spec_sha256"])}
        self._fall("spec", "plan")

    def _plan_set(self, _: dict[str, Any], data: dict[str, Any]) -> None:
        self.drafts["plan"] = (data["rev"], data["plan_sha256"])
        self._fall("plan")

    def _scope_found(self, _: dict[str, Any], data: dict[str, Any]) -> None:
        self.scope = data
        self.source = self.source or data["source_sha256"]  # of a person's commit, which no other record gives

    def _commit_foreign(self, _: dict[str, Any], data: dict[str, Any]) -> None:
        if not data.get("is_same_tree"):
            self.committers.add(data["pusher"])
            self.source = ""
            self._fall("change")

    def _command(self, record: dict[str, Any], data: dict[str, Any]) -> None:
        if not data["accepted"]:
            return
        refs = {ref["name"] for ref in record["refs"]}
        if data["verb"] == "edit" or (data["verb"] in ("revise", "fix", "retry") and "argument" in refs):
            self.writers.add(_person(record))
        if data["verb"] == "revise":
            self._fall("plan", "change", *(("spec",) if "respecify" in refs else ()))
            self.scope, self.licensed = None, False
        elif data["verb"] == "fix":
            self._fall("change")

    def digest(self, gate: str) -> str:
        """Compute what an approval at a gate binds now; empty where there is nothing to approve."""
        asked, opened, scope = self.asked.get(gate), self.opened, self.scope
        draft = self.drafts.get("spec" if gate == "spec" else "plan")
        if asked is None or draft is None or (gate == "scope" and scope is None):
            return ""
        rev, artifact = draft
        body = self.bound | {
            "instance": opened["instance"], "forge": opened["forge"], "host": opened["host"],
            "repo": opened["repo_id"], "issue": opened["issue"], "task": self.task, "gate": gate, "rev": rev,
            "artifact_sha256": artifact, "policy_sha256": self.policy_sha256,
        }  # fmt: skip
        if gate == "scope" and scope is not None:
            body |= {"rev": asked["rev"], "artifact_sha256": scope["scope_sha256"], "head": scope["commit"]}
            body |= {"source_sha256": scope["source_sha256"]}
        elif gate == "change":
            body |= {"rev": asked["rev"], "source_sha256": asked["source_sha256"], "head": asked["head"]}
        return hashlib.sha256(b"gatewright/gate/v1\n" + _canonical(body)).hexdigest()

    # Who said what.

    def _fall(self, *gates: str) -> None:
        for gate in gates:
            self.votes[gate] = []
            self.passes.pop(gate, None)
            self.carried.pop(gate, None)

    def _approval_requested(self, record: dict[str, Any], data: dict[str, Any]) -> None:
        gate = data["what"]
        before = {vote["digest"] for vote in self.votes[gate]}
        before |= {self.passes[gate][0]} if gate in self.passes else set()
        if before - {data["digest"]}:
            self._fall(gate)
        self.asked[gate] = data | {"ts": record["ts"]}
        if self.digest(gate) != data["digest"]:
            self.say(record, f"the digest shown at the {gate} gate is not that of what is in force")

    def _approval(self, record: dict[str, Any], data: dict[str, Any]) -> None:
        if record["outcome"] == "ok" and record["actor"]["type"] == "human":
            self.votes[data["what"]].append(data | {"person": _person(record)})

    def _approval_withdrawn(self, _: dict[str, Any], data: dict[str, Any]) -> None:
        gate, event = data["what"], data.get("event_id", "")
        if not event:
            self._fall(gate)
        self.votes[gate] = [vote for vote in self.votes[gate] if vote["event_id"] != event]

    def _shown_edited(self, _: dict[str, Any], data: dict[str, Any]) -> None:
        self._fall(data["what"])

    def _emergency(self, record: dict[str, Any], data: dict[str, Any]) -> None:
        people = self.policy["emergency"]["people"]
        person = _person(record)
        if record["actor"]["type"] != "human" or not people:
            self.say(record, "somebody broke the glass whom policy does not let")
        elif all(name.startswith("user:") for name in people) and f"user:{person}" not in people:
            self.say(record, "somebody broke the glass whom policy does not name")
        else:
            self.broken.append((data["what"], data["digest"], person))

    def _emergency_reviewed(self, record: dict[str, Any], data: dict[str, Any]) -> None:
        broke = {person for what, digest, person in self.broken if (what, digest) == (data["what"], data["digest"])}
        if not broke or record["actor"]["type"] != "human" or _person(record) in {0, *broke}:
            self.say(record, "an emergency was reviewed that was none, or by somebody who may not")

    # Decisions.

    def _ruling(self, record: dict[str, Any], data: dict[str, Any]) -> None:
        case, gate = data["case"], data["case"]["gate"]
        is_second = case["moment"] == "execution"
        if not data["ruling"]["passed"]:
            self.passes.pop(gate, None)
            if is_second:
                self._fall(*(("spec", "plan") if gate == "spec" else (gate,)))
            return
        people, why = self.judge(gate, case)
        if why:
            self.say(record, f"the {gate} gate was let pass: {why}")
            return
        if is_second:
            self.carried[gate] = case["digest"]
            return
        self.passes[gate], self.counted[gate] = (case["digest"], people), people
        if gate == "scope" and self.scope is not None:
            self.scopes.add(self.scope["scope_sha256"])

    def judge(self, gate: str, case: dict[str, Any]) -> tuple[set[int], str]:
        """Decide anew; return whose yes counts, and why the gate may not be let pass, empty where it may."""
        present, asked = self.digest(gate), self.asked.get(gate)
        if not present or asked is None or not present == asked["digest"] == case["digest"]:
            return set(), "not what people were shown last"
        if case["policy_sha256"] != self.policy_sha256 or not self.policy:
            return set(), "not under the policy in force"
        rule, now = self.policy[gate], case["at_ms"]
        if now - asked["ts"] > self.policy["gate_days"] * DAY_MS:
            return set(), "asked too long ago"
        observed = {"is_shown": "our comment was edited", "is_head": "the branch had moved"}
        for name, why in observed.items():
            if not case.get(name, True):
                return set(), why
        if gate == "change" and not self.is_scope_decided():
            return set(), "findings about its scope were open"
        faces, people, owned = set[int](), set[int](), list[int]()
        for vote in case["votes"]:
            theirs = {vote["person"], *self._stands_in_for(vote["person"], now)}
            if self._counts(gate, vote, theirs, now) and not theirs & faces:
                faces |= theirs
                people.add(vote["person"])
                owned += set(vote.get("owns", []))
        missing = self._missing(gate, rule, case, people, owned)
        breakers = {person for what, digest, person in self.broken if (what, digest) == (gate, present)}
        return (people | breakers, "") if missing and len(breakers) >= 2 else (people, missing)

    def _missing(
        self, gate: str, rule: dict[str, Any], case: dict[str, Any], people: set[int], owned: list[int]
    ) -> str:
        """Say what two people who break the glass may do without."""
        if len(people) < max(1, rule["quorum"]):
            return f"{len(people)} of {rule['quorum']} approvals by people who may give them"
        places = case.get("owners", []) if "owners" in rule["approvers"] else []
        if any(owned.count(place) < needed for place, needed in enumerate(places)):
            return "owners of a touched place are missing"
        writes = gate == "change" or (gate != "spec" and case["moment"] == "execution")
        if writes and any(_is_frozen(window, case["at_ms"]) for window in self.policy["freeze"]):
            return "a freeze was on"
        return "" if case.get("is_enforced", True) else "the forge did not hold merges to the gate"

    def _counts(self, gate: str, vote: dict[str, Any], theirs: set[int], now: int) -> bool:
        policy, rule, person = self.policy, self.policy[gate], vote["person"]
        alike = {
            "person": "person", "event_id": "event_id", "digest": "digest", "forge_ts": "at_ms",
            "permission": "role_then", "method": "method",
        }  # fmt: skip
        said = [v for v in self.votes[gate] if all(v[theirs] == vote[ours] for theirs, ours in alike.items())]
        wanted = max(ROLES.index(rule["min_role"]), ROLES.index(policy["min_role"]))
        named = set(vote.get("entries", [])) & set(rule["approvers"])
        named -= {name for name in named if name.startswith("user:") and int(name[5:]) not in theirs}
        ways = {
            "shown": policy["digest"] == "optional",
            "digest": True,
            "review": policy["native_approval"] != "ignored",
            "native": policy["native_approval"] == "counts",
        }
        return bool(
            said
            and person > 0
            and vote["digest"] == self.digest(gate)
            and vote["kind"] == "human"
            and vote["is_unchanged"]
            and ways[vote["method"]]
            and now - vote["at_ms"] <= policy["gate_days"] * DAY_MS
            and min(ROLES.index(vote["role_then"]), ROLES.index(vote["role_now"])) >= wanted
            and (named or not (rule["approvers"] or policy["approver_ids"]))
            and not theirs & self._barred(gate)
        )

    def _barred(self, gate: str) -> set[int]:
        """Name whom four eyes keep away from a gate, by what the journal says they did."""
        if "committer" in self.policy[gate]["not_by"] and 0 in self.committers:
            return {vote["person"] for vote in self.votes[gate]}  # whoever it was, it may have been any of them
        played = {
            "labeller": {self.opened["labeller"]},
            "author": {self.opened.get("author", 0)},
            "writer": self.writers,
            "committer": self.committers,
        }
        own = self.passes[gate][1] if gate in self.passes else set()
        approved = {each: own if each == gate else self.counted.get(each, set()) for each in GATES}
        return {person for part in self.policy[gate]["not_by"] for person in (played | approved)[part]}

    def _stands_in_for(self, person: int, now: int) -> set[int]:
        day = datetime.fromtimestamp(now / 1000, UTC).date().isoformat()
        return {
            d["person"] for d in self.policy["delegations"] if d["to"] == person and d["since"] <= day <= d["until"]
        }

    def is_scope_decided(self) -> bool:
        """Tell whether no finding waits for people."""
        return self.scope is None or not self.scope["count"] or self.scope["scope_sha256"] in self.scopes

    def holds(self, gate: str) -> bool:
        """Tell whether a gate is let pass, for what is in force now."""
        passed = self.passes.get(gate)
        if passed is None or passed[0] != self.digest(gate):
            return False
        still = {v["person"] for v in self.votes[gate]}
        still |= {p for what, digest, p in self.broken if (what, digest) == (gate, passed[0])}
        return passed[1] <= still

    # What approvals permit.

    def _attempt_started(self, record: dict[str, Any], data: dict[str, Any]) -> None:
        self.steps[data["attempt"]] = data["step"]
        needed = {"planning": ["spec"], "coding": ["spec", "plan"]}.get(data["step"], [])
        for gate in needed:
            if not self.holds(gate):
                self.say(record, f"{data['step']} without an approved {gate}")
            elif self.carried.pop(gate, "") != self.digest(gate):
                self.say(record, f"{data['step']} without another look at the approval of the {gate}")
        if data["step"] == "coding":
            self.licensed = all(self.holds(gate) for gate in needed)

    def _work(self, record: dict[str, Any], data: dict[str, Any]) -> None:
        if record["kind"] == "commit.made":
            self.source = data["source_sha256"]
        if (
            self.steps.get(data["attempt"]) not in ("spec", "planning", "qa", "publish", "archive")
            and not self.licensed
        ):
            self.say(record, "work without approval")

    def _pushed(self, record: dict[str, Any], data: dict[str, Any]) -> None:
        is_work = data["ref"].startswith("refs/heads/") and not data["ref"].startswith("refs/heads/gatewright-audit/")
        if is_work and (self.scope is None or self.scope["source_sha256"] != self.source):
            self.say(record, "work was pushed that nobody had held to its plan")
        elif is_work and not self.is_scope_decided():
            self.say(record, "work was pushed before findings about its scope were decided")

    def _forge_intent(self, record: dict[str, Any], data: dict[str, Any]) -> None:
        is_allowed = self.policy.get("merge") == "on_approval" and self.carried.get("change") == self.digest("change")
        if data["purpose"] == "merge" and not (is_allowed and self.holds("change")):
            self.say(record, "merged by the bot without an approved change")

    def _alarm(self, _: dict[str, Any], data: dict[str, Any]) -> None:
        self.alarms.append(data["code"])

    def _task_closed(self, record: dict[str, Any], data: dict[str, Any]) -> None:
        """People may merge past a gate that their forge does not hold; nobody may do so in silence."""
        is_loud = self.opened["forge"] != "local" and any(code.startswith("GW-MERGED-") for code in self.alarms)
        if data["state"] == "done" and "change" not in self.passes and not is_loud:
            self.say(record, "done without an approved change, and no alarm says so")


def _person(record: dict[str, Any]) -> int:
    number = record["actor"]["id"].rpartition(":")[2]
    return int(number) if number.isdigit() else 0


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _is_frozen(window: str, at_ms: int) -> bool:
    """Read a freeze window; the hours in which clocks are set are left to ours."""
    start, _, end = window.partition("/")
    if window[0].isdigit():
        first, last = (datetime.fromisoformat(text).timestamp() * 1000 for text in (start, end))
        return bool(first <= at_ms < last)
    end, _, zone = end.rpartition(" ")
    here = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone))
    minute = here.weekday() * 1_440 + here.hour * 60 + here.minute
    first_minute, last_minute = _minute(start), _minute(end)
    return (minute - first_minute) % WEEK < (last_minute - first_minute) % WEEK


def _minute(text: str) -> int:
    day, _, clock = text.partition(" ")
    hour, _, minute = clock.partition(":")
    return ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].index(day) * 1_440 + int(hour) * 60 + int(minute)
