#!/usr/bin/env python3
"""Check the evidence of Gatewright's tasks with nothing but Python 3.9, git and openssl 3.

    python3 verify.py REPO [--trust trust.json]       chain and meaning (L1); with trust signatures (L2), anchors in git (L3)
    python3 verify.py REPO --trust trust.json --line src/pay.py:17     which task, spec, approvals, model and tests

REPO is a checkout, a bare repository, or a folder that was copied out. This file shares no code with Gatewright and
follows docs/audit.md. Exit: 0 reached what was asked, 1 tampered, 2 incomplete, 3 trust or usage, 4 nothing to judge.
It leaves to `gatewright audit verify`: log, witnesses, time stamps (L4, L5), rulings from all their inputs, what attempts
used, models and roles that policy allows, documents that no record binds, and blobs outside of the repository."""
import argparse, base64, hashlib, json, os, re, subprocess, sys, tempfile
from pathlib import Path
ROOT, SEAL = ".gatewright/tasks", "audit/seal.dsse.json"
SHA, TASK, SEGMENT = map(re.compile, (r"[0-9a-f]{64}\Z", r"[a-z0-9-]{1,64}\Z", r"audit/[0-9]{4}\.jsonl\Z"))
KNOWN = re.compile(
    r"((audit/)?\.gitattributes|(spec|plan|qa)\.md|(plan|trace|cost)\.json|audit/(key\.note|seal\.dsse\.json"
    r"|[0-9]{4}\.jsonl|checkpoints/[0-9]{10}\.note|proofs/[0-9]{10}\.(tlog-proof|tsr)|blobs/(..)/\7[0-9a-f]{62}))\Z")
AUDIT = "refs/gatewright/audit/ refs/heads/gatewright-audit/ refs/remotes/*/gatewright-audit/".split()
KEYS = "actor basis data kind outcome prev refs seq task ts v".split()
ROLES = "requester approver author reviewer qa operator service".split()
BASES, OUTCOMES = "observed forge signed claimed".split(), "ok fail denied timeout cancelled".split()
OVER = ("spec.set plan.set approval approval.requested ruling emergency commit.made commit.intent file.change "
        "model.call tool.call test.run qa.verdict scope.found work.held task.closed").split()  # not after the end
SIGNED_AFTER = "task.opened approval.requested approval ruling pushed task.closed seal".split()
NOT_PROVEN = (
    "what was recorded was true when the operator of the instance wrote it",
    "the provider's model was the one named (basis: claimed)",
    "whoever runs the forge invented no comment, account or time",
    "approvers' accounts and keys were used by nobody else", "SHA-256 and Ed25519 hold",
    "no change was made past the bot, and no task was deleted with every copy of its anchors",
    "the instance's log, witnesses and time stamps agree: whoever holds its key could have written all anew (L4, L5)")
class Broken(Exception): """Something that is not what its name says."""
class Sheet:  # what was found about one task: (1 tampered or 2 incomplete; record; what)
    def __init__(self, task): self.task, self.level, self.state, self.findings, self.doubts = task, -1, "unread", [], []
    def need(self, holds, what, seq=None, code=1):
        if not holds: self.findings.append((code, seq, what))
        return holds
    def code(self, asked):
        return min((code for code, _, _ in self.findings), default=2 if self.level < asked else 0)
class Git:  # ------------- 1. Git: raw objects, each hashed again; no replacement, no filter, nobody's settings -------------
    def __init__(self, path):
        self.dir = path / ".git" if (path / ".git").exists() else path
        off = "GIT_NO_REPLACE_OBJECTS=1 GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_NO_LAZY_FETCH=1 LC_ALL=C"
        self.env = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"}
        self.env.update(pair.split("=") for pair in off.split())
        self.cat = subprocess.Popen(self.command("cat-file", "--batch"), env=self.env, stdin=-1, stdout=-1)
        grafts = self.ask("rev-parse", "--path-format=absolute", "--git-path", "info/grafts")
        self.is_cut = self.ask("rev-parse", "--is-shallow-repository") != "false" or Path(grafts).exists()
    def command(self, *arguments): return ["git", "-c", "safe.directory=*", f"--git-dir={self.dir}", *arguments]
    def ask(self, *arguments):
        done = subprocess.run(self.command(*arguments), env=self.env, capture_output=True)
        return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""
    def read(self, oid, kind):  # read one object; Broken where it does not hash to its id, KeyError where it is not here
        os.write(self.cat.stdin.fileno(), oid.encode() + b"\n"); head = self.cat.stdout.readline().split()
        if len(head) != 3: raise KeyError(f"{oid} is not in this repository")
        content, hasher = self.cat.stdout.read(int(head[2]) + 1)[:-1], hashlib.sha1 if len(oid) == 40 else hashlib.sha256
        digest = hasher(f"{kind} {len(content)}\0".encode() + content).hexdigest()
        if (head[1].decode(), digest) != (kind, oid): raise Broken(f"object {oid} is not what its id says")
        return content
    def commit(self, oid):  # read a commit: tree, parents, message
        head, _, message = self.read(oid, "commit").decode("utf-8", "replace").partition("\n\n")
        named = lambda kind: [line.split(" ", 1)[1] for line in head.split("\n") if line.startswith(kind + " ")]
        return named("tree")[0], named("parent"), message
    def tree(self, oid):
        raw, width, at = self.read(oid, "tree"), len(oid) // 2, 0
        while at < len(raw):
            (mode, name), end = raw[at : raw.index(b"\0", at)].split(b" ", 1), raw.index(b"\0", at) + 1 + width
            yield name, int(mode, 8), raw[end - width : end].hex(); at = end
    def walk(self, oid, top=b""):
        for name, mode, below in self.tree(oid):
            yield from self.walk(below, top + name + b"/") if mode == 0o40000 else [(top + name, mode, below)]
    def find(self, commit, path):
        oid = self.commit(commit)[0]
        for name in path.encode().split(b"/"):
            oid = oid and next((below for one, mode, below in self.tree(oid) if (one, mode) == (name, 0o40000)), None)
        return oid
    def files(self, commit):  # list what a commit holds beside evidence: path -> (mode, id)
        fold = lambda mode: (0o100755 if mode & 0o100 else 0o100644) if mode & 0o170000 == 0o100000 else mode
        return {one[0]: (fold(one[1]), one[2]) for one in self.walk(self.commit(commit)[0]) if one[0][:18] != ROOT.encode() + b"/"}
    def source(self, commit):  # compute the source digest: what a tree holds beside evidence
        hasher = hashlib.sha256(b"gatewright/audit/v1/source\n")
        for path, (mode, oid) in sorted(self.files(commit).items()):
            content = oid.encode() if mode == 0o160000 else self.read(oid, "blob")
            hasher.update(f"{mode:06o} {hashlib.sha256(content).hexdigest()} ".encode() + path + b"\0")
        return hasher.hexdigest()
    def line(self, tip, base):  # walk first parents from a commit to before the base: (commit, parents, message)
        while tip and tip != base:
            _, parents, message = self.commit(tip); yield tip, parents, message; tip = parents[0] if parents else ""
    def folder(self, commit, task):
        top, files = self.find(commit, f"{ROOT}/{task}"), {}
        for path, mode, oid in self.walk(top) if top else ():
            if mode != 0o100644: raise Broken(f"{path!r} is no plain file (mode {mode:o})")
            files[path.decode("utf-8", "backslashreplace")] = self.read(oid, "blob")
        return files
# 2. L0 and L1: lines, chain, schema ----------------------------------------------------------------------------------
def canonical(value): return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
def hashed(domain, content): return hashlib.sha256(f"gatewright/{domain}\n".encode() + content).hexdigest()
def whole(text):
    if not re.match(r"-?[0-9]{1,16}\Z", text) or abs(int(text)) >= 2**53: raise ValueError("no whole number below 2^53")
    return int(text)
def parse(line):  # read one line strictly; ValueError where it is not the only spelling of a record
    record = json.loads(line.decode("utf-8"), parse_int=whole, parse_float=whole, parse_constant=whole)
    who, refs = record["actor"], record["refs"]
    if (len(line) <= 65536 and canonical(record) == line and sorted(record) == KEYS and SHA.match(record["prev"])
            and type(record["v"]) is type(record["ts"]) is int and record["v"] == 1 and isinstance(record["data"], dict)
            and sorted(who) == ["id", "role", "type"] and who["type"] in ("human", "agent", "system", "forge")
            and re.match(r"[a-z]{1,16}:[!-~]{1,230}\Z", who["id"]) and who["role"] in ROLES
            and record["basis"] in BASES and record["outcome"] in OUTCOMES
            and all(sorted(ref) == ["commit", "name", "size"] and SHA.match(ref["commit"]) for ref in refs)
            and [ref["name"] for ref in refs] == sorted({ref["name"] for ref in refs})): return record
    raise ValueError("not a record of version 1 in canonical form")
def journal(files, sheet):  # read lines and records up to the first that cannot be believed
    segments = sorted(filter(SEGMENT.match, files))
    for name in files: sheet.need(KNOWN.match(name), f"{name} is no part of the evidence")
    is_all = segments == [f"audit/{number:04d}.jsonl" for number in range(len(segments))]
    sheet.need(is_all and all(files[one][-1:] == b"\n" for one in segments[:-1]), "a segment is missing, or ends within a line")
    lines, records, prev = b"".join(files[name] for name in segments).split(b"\n"), [], ""
    sheet.need(not lines.pop(), "bytes without a line feed at the end: a write was cut short", code=2)
    for seq, line in enumerate(lines):
        try:
            record = parse(line)
            if seq == 0:
                repo, body = "{forge}:{host}:{repo_id}".format(**record["data"]), {"instance": record["data"]["instance"]}
                prev = hashed("audit/v1/genesis", canonical({**body, "repo": repo, "task": sheet.task}))
            found = record["prev"], record["seq"], record["task"], record["kind"] == "task.opened"
            if found != (prev, seq, sheet.task, seq == 0): raise ValueError("does not follow what is before it")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            sheet.need(False, f"{type(error).__name__}: {error}", seq); break
        prev = hashed("audit/v1/record", line); records.append(record)
    return lines[: len(records)], records
class Meaning:  # --------- 3. L1: what the records mean together; `passed`: gate -> (digest, people whose yes counted) ------
    def __init__(self, records, sheet, slack_ms):
        self.sheet, self.task, self.records, self.first = sheet, sheet.task, records, records[0]["data"]
        self.policy_sha, self.issue, self.base = self.first["policy_sha256"], "", self.first["base_commit"]
        self.policy = self.head = self.work = self.verdict = self.closed = self.sealed = None
        self.wrote, self.working, self.waiting, self.thrown, self.profile = set(), set(), set(), set(), {}
        self.scope, self.drafts, self.asked, self.votes, self.passed, self.glass = {}, {}, {}, {}, {}, {}
        self.steps, self.ended, self.calls, self.tests = {}, {}, {}, {}
        for record in records:
            kind, data, self.seq = record["kind"], record["data"], record["seq"]
            self.need(not (self.sealed or (self.closed and kind in OVER)), "nothing may follow the seal, and no work the end")
            self.need(data.get("forge_ts", 0) <= record["ts"] + slack_ms, "dated before the comment it records", 2)
            for follow in (self.attempt, self.setting, self.gate, self.make): follow(record, kind, data)
        for (family, attempt, call), at in self.calls.items():
            sheet.need(at is None or attempt not in self.ended, f"{family} call {call} has no result", at)
        sheet.state = "sealed" if self.sealed else "closed" if self.closed else "open"; self.thrown |= self.waiting
    def need(self, holds, what, code=1): return self.sheet.need(holds, what, self.seq, code)
    def attempt(self, record, kind, data):  # reports to the life of attempts, steps to gates, calls to results
        number, (family, _, part) = data.get("attempt"), kind.partition(".")
        if kind == "attempt.started":
            lacking = {"planning": {"spec"}, "coding": {"spec", "plan"}}.get(data["step"], set()) - set(self.passed)
            self.need(not lacking and number not in self.steps, f"attempt {number} began without approval, or twice")
            self.steps[number] = data["step"]
            if data["step"] in ("coding", "qa_fixer"): self.working.add(number)
        elif number and kind not in ("task.blocked", "gate"):
            self.need(number in self.steps and number not in self.ended, f"reports for attempt {number}, not begun, or ended")
        if kind == "attempt.ended":
            self.ended[number] = record["outcome"]
            if (data["step"], record["outcome"]) == ("publish", "ok"): self.published(data.get("source_sha256"))
        if family in ("model", "tool") and part in ("call", "result"):
            key = (family, number, data["call"])
            is_fit = key not in self.calls if part == "call" else self.calls.get(key) is not None
            is_named = kind != "model.call" or (data["provider"] and data["model"])
            self.need(is_fit and is_named, f"{family} call {key[2]}: twice, of no model, or a result alone")
            self.calls[key] = self.seq if part == "call" else None
    def setting(self, record, kind, data):  # follow what approvals bind
        if kind == "policy.changed":
            is_first = self.policy is None and data["policy_sha256"] != self.first["policy_sha256"]
            is_named = hashed("policy/v1", canonical(data["policy"])) == data["policy_sha256"]
            self.need(is_named and not is_first, "the policy is not the one that its digest, or record 0, names")
            self.policy, self.policy_sha = data["policy"], data["policy_sha256"]
        elif kind in ("issue.snapshot", "issue.changed"): self.issue = data.get("issue_sha256", "")
        elif kind == "base.moved": self.base = data["base_commit"]
        elif kind == "profile.set": self.profile = {one: data[one] for one in "spec planning coding qa qa_fixer".split()}
        elif kind in ("spec.set", "plan.set"):
            gate = kind[:4]; self.drafts = {**({} if gate == "spec" else self.drafts), gate: (data[f"{gate}_sha256"], data["rev"])}
            self.void("plan", gate)
        elif kind == "scope.found": self.scope = data
        elif kind == "shown.edited": self.void(data["what"])
        elif kind == "emergency": self.glass.setdefault(data["digest"], set()).add(record["actor"]["id"])
        elif kind == "command" and data["accepted"] and data["verb"] == "fix": self.void("change")
        elif kind == "command" and data["accepted"] and data["verb"] == "revise":
            self.void("change", "plan", *("spec" for ref in record["refs"] if ref["name"] == "respecify"))
            self.head = self.work = self.verdict = None; self.thrown, self.waiting = self.thrown | self.waiting, set()
    def void(self, *gates):
        for gate in gates: self.votes.pop(gate, None), self.passed.pop(gate, None)
    def binding(self, data):  # compute the gate digest of what is in force
        gate, first, scope = data["what"], self.first, self.scope
        artifact, rev = self.drafts.get("plan" if gate == "change" else gate, ("", 0))
        if gate == "scope": artifact, data = scope["scope_sha256"], {**data, **scope, "head": scope["commit"]}
        bound = {name: data.get(name) for name in ("source_sha256", "head")} if gate in ("scope", "change") else {}
        return hashed("gate/v1", canonical({
            **{name: first[name] for name in ("instance", "forge", "host", "issue")}, "repo": first["repo_id"],
            "task": self.task, "gate": gate, "artifact_sha256": artifact, "rev": data["rev"] if bound else rev,
            "base_commit": self.base, "policy_sha256": self.policy_sha, "profile": self.profile,
            "issue_sha256": self.issue, **{name: value for name, value in bound.items() if value}}))
    def gate(self, record, kind, data):  # what was asked to what is in force, votes to that, rulings to votes
        gate, asked = data.get("what"), self.asked.get(data.get("what"), {})
        if kind == "approval.requested":
            self.need(self.binding(data) == data["digest"], f"the digest does not bind the {gate} in force")
            if asked.get("digest") != data["digest"]: self.void(gate)
            self.asked[gate] = data
        elif kind == "approval":
            is_asked, who = (data["digest"], data["rev"]) == (asked.get("digest"), asked.get("rev")), record["actor"]
            self.need(is_asked, f"approves something else than the {gate} that was asked last")
            if self.need(record["outcome"] == "ok" and who["type"] == "human", f"{who['id']} is no person"):
                self.votes.setdefault(gate, {})[data["event_id"]] = who["id"]
        elif kind == "approval.withdrawn":
            self.votes.get(gate, {}).pop(data.get("event_id"), None), self.passed.pop(gate, None)
            if not data.get("event_id"): self.void(gate)
        elif kind == "ruling" and not data["ruling"]["passed"]: self.void(data["case"]["gate"])
        elif kind == "ruling": self.rule(data["case"], data["ruling"])
    def rule(self, case, ruling):  # a gate let pass to votes in force, by enough people whom policy does not bar
        gate, forge, rule = case["gate"], self.first["forge"], (self.policy or {}).get(case["gate"], {})
        counted = {f"{forge}:{one['person']}" for one in ruling["tallies"] if not one.get("code")}
        broken = self.glass.get(case["digest"], set()) if ruling["is_emergency"] else set()
        pushers = [one["data"]["pusher"] for one in self.records if one["kind"] == "commit.foreign"]
        parts = {"committer": pushers, "labeller": [self.first["labeller"]], "author": [self.first.get("author", 0)]}
        parts.update((gate, [int(who.split(":")[1]) for who in people]) for gate, (_, people) in self.passed.items())
        barred = {f"{forge}:{who}" for part in rule.get("not_by", ()) for who in parts.get(part, ()) if who}
        votes = set(self.votes.get(gate, {}).values())
        is_due = len(broken) > 1 or (rule.get("quorum", 1) <= len(counted & votes) == len(counted) and not counted & barred)
        is_due = is_due and case["digest"] == self.asked.get(gate, {}).get("digest")
        self.need(is_due, f"lets a {gate} pass not as asked, or without the approvals due, or against four eyes")
        if case["moment"] == "decision": self.passed[gate] = (case["digest"], sorted(counted | broken))
    def make(self, record, kind, data):  # follow the work, its tests, QA's verdict, and the end
        if kind == "commit.made":
            is_work, self.head = data["attempt"] in self.working, record; self.waiting.add(data["commit"])
            if is_work: self.work = record
            self.need(not is_work or "plan" in self.passed, "work was committed without an approved plan")
        elif kind == "commit.foreign" and not data.get("is_same_tree"): self.work = self.head = self.void("change") or record
        elif kind == "pushed" and data["ref"].startswith("refs/heads/"): self.waiting.clear()
        elif kind == "commit.intent": self.wrote.add(data["attempt"])
        elif kind == "approval.requested" and data["what"] == "change": self.published(data.get("source_sha256"))
        elif kind == "blob.redacted": self.need(record["actor"]["role"] in ROLES[-2:], "redacted by who may not")
        elif kind == "test.run": self.tests.setdefault(data["attempt"], []).append(record)
        elif kind == "qa.verdict": self.judge(record, data)
        elif kind in ("task.closed", "seal"):
            self.need(kind != "seal" or self.closed, "sealed before it was closed")
            self.closed, self.sealed = self.closed or record, record if kind == "seal" else None
            if "done" in (data.get("state"), data.get("outcome")):
                self.published(data.get("source_sha256"), 1 if kind == "seal" else 2)
    def judge(self, record, data):
        made, runs = self.head["data"] if self.head else {}, self.tests.get(data["attempt"], [])
        here = {run["data"]["suite"]: run["data"]["exit"] for run in runs if run["data"]["commit"] == data["commit"]}
        is_last = data["commit"] == made.get("commit") and made.get("source_sha256") in (None, data["source_sha256"])
        is_other, self.verdict = record["actor"]["role"] == "qa" and data["attempt"] not in self.wrote, record
        self.need(is_last and is_other, "QA is by the author, or of another commit or source than the last")
        is_right = {run["data"]["suite"] for run in runs} <= {*here} and (data["verdict"] != "passed" or not any(here.values()))
        self.need(is_right, "a check ran on another commit, or failed where QA passed")
    def published(self, source, code=1):
        judged = self.verdict and self.work and self.work["seq"] < self.verdict["seq"] and self.verdict["data"]
        self.need(judged and source in ("", None, judged["source_sha256"]), "published, and not judged so", code)
def payloads(files, records, passed, sheet):  # hold blobs and documents in the folder to what records name
    named = {ref["commit"]: ref["size"] for record in records for ref in record["refs"]}
    gone = {record["data"]["target"] for record in records if record["kind"] == "blob.redacted"}
    for path, oid, stored in ((one, one[-64:], raw) for one, raw in files.items() if one.startswith("audit/blobs/")):
        is_named = hashed("audit/v1/blob", stored) == oid and named.get(oid) == len(stored) - 32
        sheet.need(is_named, f"{path} is not what its name says, or no record names it")
        if oid in gone: sheet.doubts.append(f"{path} is gone: a record says it was redacted, and it is still here")
    for gate in ("spec", "plan"):
        drafts = [record["data"][f"{gate}_sha256"] for record in records if record["kind"] == f"{gate}.set"]
        here = [hashlib.sha256(files[f"{gate}.md"]).hexdigest()] if f"{gate}.md" in files else []
        if here: sheet.need(drafts[-1:] == here, f"{gate}.md is not the text that the journal names")
        else: sheet.need(gate not in passed, f"{gate}.md was approved and is not here", code=2)
# 4. L2: signatures, by openssl ---------------------------------------------------------------------------------------
def vkey(text):  # read a verifier key: name, key id, raw public key
    name, key_id, encoded = text.split("+", 2); raw = base64.b64decode(encoded, validate=True)
    if len(raw) != 33 or raw[0] != 1 or hashlib.sha256(name.encode() + b"\n" + raw).hexdigest()[:8] != key_id:
        raise ValueError("not an Ed25519 verifier key")
    return name, key_id, raw[1:]
def signed(public, message, signature):  # ask openssl whether an Ed25519 key signed a message
    files = {"key": bytes.fromhex("302a300506032b6570032100") + public, "message": message, "signature": signature}
    command = "openssl pkeyutl -verify -pubin -keyform DER -inkey key -rawin -in message -sigfile signature".split()
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items(): Path(folder, name).write_bytes(content)
        return subprocess.run(command, cwd=folder, capture_output=True).returncode == 0
def is_by(raw, *keys):  # tell whether one of the keys signed a note
    text, _, below = raw.decode("utf-8").rpartition("\n\n")
    found = [(line.rpartition(" ")[0], base64.b64decode(line.rpartition(" ")[2])) for line in below.splitlines()]
    return any(who == f"\u2014 {name}" and blob[:4].hex() == key_id and signed(public, f"{text}\n".encode(), blob[4:])
               for name, key_id, public in keys for who, blob in found)
def note(raw, *keys, anybody=False):  # read the text of a signed note; ValueError unless one of the keys signed it
    if not raw.endswith(b"\n") or not (anybody or is_by(raw, *keys)): raise ValueError("no key that counts signed it")
    return raw.decode("utf-8").rpartition("\n\n")[0] + "\n"
def root(lines):  # compute the RFC 6962 root over lines, in base64
    level = [hashlib.sha256(b"\0" + line).digest() for line in lines]
    while len(level) > 1:
        pairs = [hashlib.sha256(b"\1" + a + b).digest() for a, b in zip(level[::2], level[1::2])]
        level = pairs + level[len(pairs) * 2 :]
    return base64.b64encode(level[0]).decode()
def signatures(files, lines, records, trust, sheet):  # delegation, checkpoints and seal; without trust as far as goes
    first, said, at, trusted, old = records[0]["data"], {}, "audit/key.note", [], []
    marks = sorted(name for name in files if name.startswith("audit/checkpoints/"))
    if not first.get("task_vkey"):
        sheet.need(not marks and SEAL not in files, "signatures lie here, and record 0 names no key for them", 0); return False
    try:
        own, trusted = vkey(first["task_vkey"]), [vkey(text) for text in trust.get("keys", ())]
        if own[0] != f"{first['instance']}/task/{sheet.task}": raise ValueError("record 0 names another key")
        old = [vkey(one["vkey"]) for one in trust.get("revoked", ())]; trusted = [key for key in trusted if key not in old]
        is_theirs = trust.get("instance", first["instance"]) == first["instance"]
        if not sheet.need(is_theirs, "the trust file speaks for another instance", 0, 2): trusted = old = []
        sheet.need(at in files or not trust, "the instance's signature for the task's key is missing", 0, 2)
        if at in files:
            text = note(files[at], *trusted, *old, anybody=not trusted + old).split("\n")
            is_ours = text[:3] == ["gatewright/delegation/v1", first["task_vkey"], records[0]["prev"]] == text[:-2]
            if not is_ours or int(text[3]) > records[0]["ts"]: raise ValueError("for another key, journal, or too late")
            is_old = old and trusted and not is_by(files[at], *trusted)
            sheet.need(not is_old, "a revoked key signed: only the log can tell when (gatewright audit verify)", 0, 2)
        for at in marks:
            size, text = int(at[-15:-5]), note(files[at], own)
            if 0 < size <= len(lines) and text == f"{own[0]}\n{size}\n{root(lines[:size])}\n": said[size] = text
            else: raise ValueError("signs other lines than these, or more than there are")
        at = SEAL
        if at in files: seal(json.loads(files[at]), lines, records, own, trusted + old, sheet)
    except (ValueError, KeyError, TypeError, AttributeError) as error: sheet.need(False, f"{at}: {error}")
    if not trust: return False
    covered, is_whole = max(said, default=0), sheet.state == "open" or SEAL in files
    is_whole = is_whole and all(r["seq"] + 1 in said for r in records[:covered] if r["kind"] in SIGNED_AFTER)
    sheet.need(is_whole, "a checkpoint, or the seal of a task that has ended, is missing", code=2)
    sheet.need(covered == len(lines), f"nothing signed covers the last {len(lines) - covered} records", covered, 2)
    return bool(trusted + old)
def seal(envelope, lines, records, own, trusted, sheet):  # hold a DSSE envelope to both keys and to the journal
    body, kind, last = base64.b64decode(envelope["payload"]), envelope["payloadType"].encode(), records[-1]
    message = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(body), body)
    for keys in ([own], trusted) if trusted else ([own],):
        found = ((key[2], base64.b64decode(one["sig"])) for key in keys for one in envelope["signatures"])
        if not any(signed(key, message, one) for key, one in found): raise ValueError("not signed by both keys")
    said, journal_sha = json.loads(body), hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()
    expected = {"task": sheet.task, "repo": records[0]["data"]["repo"], "records": len(lines), "root": root(lines),
                "head": hashed("audit/v1/record", lines[-1]), "commit": last["data"].get("commit")}  # fmt: skip
    subjects = {"journal": journal_sha, "source": last["data"]["source_sha256"] if last["kind"] == "seal" else "none"}
    is_type = (kind, said["_type"]) == (b"application/vnd.in-toto+json", "https://in-toto.io/Statement/v1")
    is_ours = is_type and all(said["predicate"].get(name) == value for name, value in expected.items())
    digests = {one["name"]: one["digest"]["sha256"] for one in said["subject"]}
    if not is_ours or digests != {name: value for name, value in subjects.items() if value}:
        raise ValueError("it is no statement, or seals another journal or source than this")
# 5. L3: anchors in git and in what people were shown -----------------------------------------------------------------
def journal_of(files): return b"".join(files[name] for name in sorted(filter(SEGMENT.match, files)))
def shown(lines, records, sheet):
    for seq, kind, data in ((one["seq"], one["kind"], one["data"]) for one in records):
        is_ours = not data.get("root") or (0 < data["size"] <= seq and data["root"] == root(lines[: data["size"]]))
        sheet.need(is_ours or kind not in ("anchor", "approval.requested"), "people were shown another journal", seq)
def commits(git, tips, records, meaning, sheet):  # commits that records name, and the branch; answer the bot's own
    ours, base, made, foreign = {}, meaning.base, set(), set()
    for kind, data, seq in ((one["kind"], one["data"], one["seq"]) for one in records):
        if kind in ("commit.made", "pushed", "attempt.ended"): made.add(data.get("commit"))
        elif kind == "commit.foreign": foreign.add(data["commit"])
        if kind not in ("commit.made", "commit.foreign", "qa.verdict"): continue
        try:
            oid, short = data["commit"], data["commit"][:12]; tree, parents, message = git.commit(oid)
            is_named = kind == "qa.verdict" or (tree == data["tree"] and data.get("parent", parents[0]) in parents)
            is_held = kind == "commit.foreign" or git.source(oid) == data["source_sha256"]
            sheet.need(is_named and is_held, f"{short} has another tree, parent or source than recorded", seq)
            if kind != "commit.made": continue
            ours[oid] = parents, message
            is_kept = data["attempt"] not in meaning.working or git.find(oid, ROOT) == git.find(data["parent"], ROOT)
            sheet.need(is_kept, f"{short} is an agent's work and changes evidence", seq)
        except KeyError as error: sheet.need(oid in meaning.thrown, str(error), seq, 2)
    path, theirs = list(git.line(meaning.verdict["data"]["commit"], base)) if meaning.verdict else [], False
    for oid, _, _ in path if path and base in path[-1][1] else ():
        theirs = oid in foreign or (theirs and oid not in made)
        sheet.need(theirs or oid in made, f"{oid[:12]} is part of the work and in no record")
    refs = [f"{top}/gatewright/{sheet.task}-*" for top in ("refs/heads", "refs/remotes/*")]
    for tip in git.ask("for-each-ref", "--format=%(objectname)", *refs).split():
        for oid, parents, _ in git.line(tip, base):
            if oid in made | foreign: break
            is_own = parents and git.source(oid) == git.source(parents[0])  # evidence, and nothing else
            sheet.need(is_own, f"{oid[:12]} on the bot's branch is in no record: nobody judged it", code=2)
    for tip in tips:
        for oid, parents, message in git.line(tip, base):
            if f"\nGatewright-Task: {sheet.task}\n" in f"\n{message}\n": ours[oid] = parents, message
            elif oid not in ours: break
    return ours, made | foreign
def anchors(git, ours, lines, records, sheet):  # hold the trailers and journals of the bot's commits to our journal
    whole, origin = b"".join(line + b"\n" for line in lines), f"{records[0]['data']['instance']}/task/{sheet.task}"
    for oid, (parents, message) in ours.items():
        trailers = re.findall(r"^Audit-Checkpoint: (.+)$", message, re.MULTILINE)
        sheet.need(trailers, f"{oid[:12]} names no checkpoint of the journal", code=2)
        for trailer in trailers:
            size = int("".join(re.findall(r" ([0-9]{1,15}) ", trailer)) or 0)
            is_ours = 0 < size <= len(lines) and trailer == f"{origin} {size} {root(lines[:size])}"
            sheet.need(is_ours, f"{oid[:12]} names another journal")
        held = [journal_of(git.folder(one, sheet.task)) for one in (oid, *parents[:1])]
        is_ours = whole.startswith(held[0]) and len(held[0]) >= len(held[-1])
        sheet.need(is_ours, f"{oid[:12]} held another journal, or less of it than its parent")
def merged(git, tip, named, meaning, sheet):  # what brought the evidence to the tip's branch, to what was sealed
    merge, said, base = None, meaning.sealed["data"] if meaning.sealed else {}, meaning.base
    for oid, parents, message in git.line(tip, base) if said.get("commit") and git.files(tip) else ():
        if oid in named: return
        if not git.find(oid, f"{ROOT}/{sheet.task}"): break
        merge = oid, parents, message
    if not merge or not merge[1] or git.source(merge[0]) in (said["source_sha256"], git.source(merge[1][0])): return
    here, own, change, old = (git.files(one) for one in (merge[0], merge[1][0], said["commit"], base))
    for path in {*here, *own, *change, *old}:
        mine, sealed, before = own.get(path), change.get(path), old.get(path)
        right = sealed if mine in (before, sealed) else mine if sealed == before else here.get(path)
        sheet.need(here.get(path) == right, f"{merge[0][:12]}: {path!r} was merged otherwise than it was sealed")
def judge(git, tips, task, files, trust):  # judge one copy of a task's evidence; each level stands on the one before
    sheet, meaning, found = Sheet(task), None, lambda: len(sheet.findings); lines, records = journal(files, sheet)
    try:
        if sheet.need(records, "no record can be read") and sheet.code(-1) != 1:
            meaning = Meaning(records, sheet, trust.get("clock_tolerance_s", 300) * 1000)
            payloads(files, records, meaning.passed, sheet)
            ours, named = commits(git, tips, records, meaning, sheet) if git else ({}, set())
            before, sheet.level = found(), int(sheet.code(-1) != 1)
            is_signed = signatures(files, lines, records, trust, sheet) and found() == before
            before = found(); shown(lines, records, sheet)
            if git and git.is_cut: sheet.need(False, "this repository is shallow or grafted", code=2)
            elif git and records[0]["data"].get("task_vkey"): anchors(git, ours, lines, records, sheet)
            if sheet.level and is_signed: sheet.level = 3 if found() == before else 2
            if git: merged(git, tips[-1], named, meaning, sheet)
    except KeyError as error: sheet.need(False, f"{error} is not here", code=2)
    except (Broken, TypeError, ValueError, AttributeError) as error: sheet.need(False, f"not as it should be: {error!r}")
    return sheet, records, meaning
# 6. Where evidence lies, which line comes from where, and the answer -------------------------------------------------
def on_disk(top):
    plain = [one for one in top.rglob("*") if not one.is_dir() or one.is_symlink()]
    if any(one.is_symlink() or not one.is_file() for one in plain): raise Broken(f"{top} holds what is no plain file")
    return {one.relative_to(top).as_posix(): one.read_bytes() for one in plain}
def copies(git, path, rev):  # yield tasks with copies (where, commit, files): that asked for, and those it is held to
    below = [path / name for name in (ROOT, "tasks") if (path / name).is_dir()]  # the latter in an unpacked bundle
    tops = sorted(below[0].iterdir()) if below else [path] if (path / "audit").is_dir() else []
    yield from ((top.resolve().name, [("folder", "", on_disk(top))]) for top in (() if git else tops))
    if git is None: return
    head, refs = git.ask("rev-parse", "--verify", "-q", f"{rev or 'HEAD'}^{{commit}}"), {}
    if rev and not head: raise LookupError(f"there is no commit {rev}")
    for ref in git.ask("for-each-ref", "--format=%(refname)", *AUDIT).split():
        refs.setdefault(ref.rpartition("/")[2], []).append((ref, git.ask("rev-parse", f"{ref}^{{commit}}")))
    below, is_checkout = git.find(head, ROOT) if head else None, (path / ".git").exists() and not rev
    here = {name.decode("utf-8", "replace") for name, _, _ in git.tree(below)} if below else set()
    disk = {one.name for one in (path / ROOT).iterdir()} if is_checkout and (path / ROOT).is_dir() else set()
    for task in sorted(one for one in here | disk or (set() if rev else refs) if TASK.match(one)):
        found = [("work tree", head, on_disk(path / ROOT / task))] if is_checkout and here | disk else []
        if task in here: found.append(("HEAD", head, git.folder(head, task)))
        yield task, found + [(ref, oid, git.folder(oid, task)) for ref, oid in refs.get(task, ()) if oid != head]
def verdict(git, task, found, trust, rev):  # judge the fullest copy, and the one asked for; hold all to each other
    (where, tip, files), full = found[0], found[0]; sheet, records, meaning = judge(git, [tip], task, files, trust)
    for name, oid, other in found[1:]:
        if name == "HEAD": sheet.need(files == other, "the work tree is not as it was committed")
        mine, theirs = (journal_of(one).rpartition(b"\n")[0] for one in (files, other))
        is_one = sheet.need(mine.startswith(theirs) or theirs.startswith(mine), f"{name} holds another journal")
        if is_one and name != "HEAD" and not rev and len(theirs) > len(journal_of(full[2])): full = name, oid, other
    if full is found[0]: return where, sheet, records, meaning
    fuller, records, meaning = judge(git, [full[1], tip], task, full[2], trust)
    fuller.findings += [one for one in sheet.findings if one[0] == 1 and one not in fuller.findings]
    return full[0], fuller, records, meaning
def blame(git, repo, rev, where):  # a line's commit, and the tasks of its trailer, or of its evidence, or its source
    (path, _, line), tip = where.rpartition(":"), git.ask("rev-parse", "--verify", "-q", f"{rev or 'HEAD'}^{{commit}}")
    objects = git.ask("rev-parse", "--path-format=absolute", "--git-path", "objects")
    with tempfile.TemporaryDirectory() as own:  # a repository of our own: settings of theirs may skip commits
        env, kind = {**git.env, "GIT_OBJECT_DIRECTORY": objects}, "sha256" if len(tip) == 64 else "sha1"
        subprocess.run(["git", "init", "-q", "--bare", "--template=", f"--object-format={kind}", own], env=git.env)
        words = f"git --git-dir={own} -c core.commitGraph=false blame -ls --root -L{line},{line} {tip} --".split(" ")
        commit = subprocess.run([*words, path], env=env, capture_output=True).stdout.split(b" ")[0].decode()
    if not re.match(r"[0-9a-f]{40,64}\Z", commit): raise LookupError(f"git knows no line {where}")
    named = re.findall(r"^Gatewright-Task: ([a-z0-9-]{1,64})$", git.commit(commit)[2], re.MULTILINE)
    paths = git.ask("diff-tree", "-r", "--root", "-m", "--name-only", commit, "--", ROOT).splitlines()
    tasks, source = set(named or (name.split("/")[2] for name in paths if name.count("/") > 2)), git.source(commit)
    for task, found in () if tasks else copies(git, repo, rev):
        ends = [line for _, _, files in found for line in journal_of(files).splitlines()[-1:] if b'"seal"' in line]
        tasks.update(task for line in ends if f'"source_sha256":"{source}"'.encode() in line)
    return commit, tasks
def tell(records, meaning):  # say for people what a change rests on
    first, verdict = records[0]["data"], meaning.verdict["data"] if meaning.verdict else {}
    yield f"asked for  issue {first['issue']} of {first['path']}, label set by {first['forge']}:{first['labeller']}"
    for gate, (digest, people) in meaning.passed.items():
        text = f", text sha256:{meaning.drafts[gate][0]}" if gate in meaning.drafts else ""
        yield f"{gate:<10} approved by {', '.join(people)}: digest {digest[:12]}{text}"
    calls = [(one["data"]["model"], one["data"]["provider"]) for one in records if one["kind"] == "model.call"]
    for one in sorted(set(calls)): yield f"model      {one[0]} by {one[1]}, {calls.count(one)} calls"
    if verdict: yield "qa         {verdict}, {met} of {criteria} criteria met, on {commit}".format(**verdict)
    for run in meaning.tests.get(verdict.get("attempt"), ()):
        yield "test       {suite}: exit {exit}, on {commit}".format(**run["data"])
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("repo", "--task", "--rev", "--trust", "--line", "--level"): parser.add_argument(name)
    asked = parser.parse_args(); asked.repo, tasks = Path(asked.repo), {asked.task}
    try:
        level = {"L1": 1, "L2": 2, "L3": 3}[asked.level or ("L3" if asked.trust else "L1")]
        trust = json.loads(Path(asked.trust).read_text()) if asked.trust else {}
        if asked.trust: _ = [vkey(str(text)) for text in trust["keys"]], trust["instance"]
        git = Git(asked.repo) if (asked.repo / ".git").exists() or (asked.repo / "objects").is_dir() else None
        if asked.line and git:
            commit, tasks = blame(git, asked.repo, asked.rev, asked.line)
            print(f"{asked.line} comes from commit {commit[:12]}: {', '.join(sorted(tasks)) or 'no change of the bot'}")
        found = [one for one in copies(git, asked.repo, asked.rev) if {one[0], None} & tasks]
        verdicts = [verdict(git, task, all_of_it, trust, asked.rev) for task, all_of_it in found]
    except (Broken, OSError) as error: parser.exit(1 if isinstance(error, Broken) else 4, f"{error}\n")
    except (ValueError, TypeError, LookupError) as error: parser.exit(3, f"cannot be done as asked: {error!r}\n")
    for where, sheet, records, meaning in verdicts:
        print(f"Task {sheet.task}: {len(records)} records, {sheet.state}, reached L{max(sheet.level, 0)}, from {where}")
        for line in tell(records, meaning) if meaning else (): print(f"  {line}")
        for _, seq, what in sheet.findings: print(f"  FAIL  {'' if seq is None else f'record {seq}: '}{what}")
        more = ((sheet.level < 2, "nothing was cut off or written anew: no signature that counts holds it"),
                (not git, "the commits named exist: no repository is here"), (sheet.state == "open", "nothing follows"))
        for doubt in (*sheet.doubts, *(text for is_so, text in more if is_so), *NOT_PROVEN): print(f"  NOT PROVEN that {doubt}")
    codes = {sheet.code(level) for _, sheet, _, _ in verdicts}
    sys.exit(4 if not codes else 1 if 1 in codes else max(codes))
if __name__ == "__main__": main()
