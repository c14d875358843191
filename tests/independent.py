"""Evidence checked by somebody who has the format's description and the standard library, and none of our code."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

KEYS = ["actor", "basis", "data", "kind", "outcome", "prev", "refs", "seq", "task", "ts", "v"]
SHA = re.compile(r"[0-9a-f]{64}")


def verify_evidence(task_dir: Path) -> int:
    """Return the number of records, or raise AssertionError that names the first bad record."""
    records = _chain(task_dir)
    _calls(records)
    _approvals(records)
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
    for value in record["data"].values():
        assert value is None or isinstance(value, (str, int)), f"record {number}: data holds a {type(value).__name__}"
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


def _approvals(records: list[dict[str, Any]]) -> None:
    """Every approval is of the digest that was asked last, and code is written only after spec and plan passed."""
    asked: dict[str, tuple[str, int]] = {}
    passed: set[str] = set()
    steps: dict[int, str] = {}
    for record in records:
        kind, data, seq = record["kind"], record["data"], record["seq"]
        if kind == "approval.requested":
            asked[data["what"]] = (data["digest"], data["rev"])
        elif kind == "approval":
            assert asked.get(data["what"]) == (data["digest"], data["rev"]), f"record {seq}: approves what nobody asked"
            passed.add(data["what"])
        elif kind == "spec.set":
            passed -= {"spec", "plan"}
        elif kind == "plan.set":
            passed -= {"plan"}
        elif kind == "attempt.started":
            steps[data["attempt"]] = data["step"]
        elif kind == "commit.made" and steps.get(data["attempt"]) in ("coding", "qa_fixer"):
            assert {"spec", "plan"} <= passed, f"record {seq}: work without approval"
