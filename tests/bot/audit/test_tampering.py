"""What somebody with the files, and no key, can try; numbers are those of the catalogue in docs/audit.md."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from bot.audit import layout
from bot.audit.blobs import Blobs
from bot.audit.chain import digest
from bot.audit.checks import chain, history
from bot.audit.folder import Folder
from bot.audit.objects import Objects
from bot.audit.place import Found
from bot.audit.record import decode
from bot.audit.sheet import Severity, Sheet, Verdict
from bot.audit.verify import judge, terms, verify
from tests.bot.audit.story import PLAN, SPEC, TASK, TOM, Story, git, sha


def judged(story: Story, lines: list[bytes] | None = None, **files: bytes | None) -> Verdict:
    """Judge the evidence alone, as if it had been copied out of its repository."""
    prefix = f"{layout.folder(TASK)}/"
    whole = layout.evidence_files(TASK, story.lines if lines is None else lines, story.documents)
    here = {name.removeprefix(prefix): content for name, content in whole.items()}
    return judge(Found(Folder(TASK, {n: c for n, c in (here | files).items() if c is not None}), "test", Sheet()))


def finding(verdict: Verdict, check: str):
    return next(one for one in verdict.findings if one.check == check)


def is_ruling(story: Story, seq: int, moment: str) -> bool:
    record = decode(story.lines[seq])
    return record.kind == "ruling" and record.data["case"]["moment"] == moment


def seq_of(story: Story, kind: str, nth: int = 0) -> int:
    return [n for n, line in enumerate(story.lines) if decode(line).kind == kind][nth]


def test_untouched_evidence_reaches_l1_and_says_what_it_does_not_prove(story):
    verdict = judged(story)

    assert (verdict.exit_code, verdict.level, verdict.state) == (0, "L1", "closed (done)")
    assert verdict.findings == ()
    assert any("signed" in text for text in verdict.not_proven)
    assert any("anchors" in text for text in verdict.not_proven)


class TestBytesAndLines:
    def test_01_a_bit_in_a_past_record(self, story):
        lines = list(story.lines)
        seq = seq_of(story, "tool.call")
        lines[seq] = lines[seq].replace(b'"edit"', b'"exit"')

        verdict = judged(story, lines)

        found = finding(verdict, "chain")
        assert verdict.exit_code == 1
        assert (found.record, found.kind, found.line) == (seq, "tool.call", seq + 1)
        assert found.expected == f"sha256:{decode(lines[seq + 1]).prev}"
        assert found.found == f"sha256:{digest(lines[seq])}"
        assert found.file == f".gatewright/tasks/{TASK}/audit/0000.jsonl"

    @pytest.mark.parametrize(
        ("case", "change"),
        [
            ("02 delete a record", lambda lines: lines.pop(9)),
            ("02 delete the first record", lambda lines: lines.pop(0)),
            ("03 swap two records", lambda lines: lines.insert(8, lines.pop(9))),
            ("04 insert a copy", lambda lines: lines.insert(9, lines[8])),
            ("09 a blank line", lambda lines: lines.insert(9, b"")),
            ("09 CRLF", lambda lines: lines.__setitem__(9, lines[9] + b"\r")),
            ("09 a trailing space", lambda lines: lines.__setitem__(9, lines[9] + b" ")),
            ("09 a byte order mark", lambda lines: lines.__setitem__(0, b"\xef\xbb\xbf" + lines[0])),
            ("09 trailing space in the last record", lambda lines: lines.__setitem__(-1, lines[-1] + b" ")),
            ("10 a key twice", lambda lines: lines.__setitem__(9, lines[9].replace(b'"v":1', b'"v":1,"v":1'))),
            ("11 an escape", lambda lines: lines.__setitem__(9, lines[9].replace(b"spec", rb"\u0073pec"))),
            ("12 a float", lambda lines: lines.__setitem__(-1, lines[-1].replace(b'"v":1', b'"v":1.0'))),
            ("13 an unknown field", lambda lines: lines.__setitem__(-1, lines[-1].replace(b'"v":1', b'"v":1,"w":2'))),
            ("14 a line of 70 KB", lambda lines: lines.append(b'"' + b"x" * 70_000 + b'"')),
            ("15 no UTF-8", lambda lines: lines.__setitem__(-1, lines[-1].replace(b"merged", b"m\xffrged"))),
            ("15 a lone surrogate", lambda lines: lines.__setitem__(-1, lines[-1].replace(b"merged", rb"\ud800"))),
            ("16 no record at all", lambda lines: lines.clear()),
            ("18 a second genesis", lambda lines: lines.append(lines[0])),
            ("18 two records with one prev", lambda lines: lines.append(lines[-1])),
        ],
    )
    def test_a_change_of_lines_is_refused(self, story, case, change):
        lines = list(story.lines)
        change(lines)

        verdict = judged(story, lines)

        assert verdict.exit_code == 1, case
        assert verdict.level in ("nothing", "L0")
        assert any("from the named record on" in text for text in verdict.not_proven) or not verdict.records

    def test_05_a_cut_tail_is_named_as_not_proven(self, story):
        verdict = judged(story, story.lines[:-3])

        assert verdict.exit_code == 0  # nothing in the folder can tell
        assert verdict.state == "open"
        assert any("cut off after the last record" in text for text in verdict.not_proven)

    def test_05_a_cut_tail_does_not_agree_with_the_audit_ref_silently(self, story):
        story.store(story.lines[:-3])
        git(story.repo, "add", "-A")
        git(story.repo, "commit", "-q", "-m", "cut")

        verdict = verify(story.repo)[0]

        assert any(f"goes on from here to {len(story.lines)} records" in held.text for held in verdict.held)

    def test_08_a_torn_last_line_is_incomplete(self, story):
        whole = b"".join(line + b"\n" for line in story.lines)

        for cut in range(len(whole) - len(story.lines[-1]), len(whole)):
            verdict = judged(story, **{"audit/0000.jsonl": whole[:cut]})
            assert verdict.exit_code == 2, cut
            assert verdict.records == len(story.lines) - 1
            assert "line feed" in finding(verdict, "chain").what

    def test_08_a_torn_line_in_the_middle_is_tampering(self, story):
        torn = b"".join(line + b"\n" for line in story.lines[:10])[:-9]
        rest = b"".join(line + b"\n" for line in story.lines[10:])

        assert judged(story, **{"audit/0000.jsonl": torn, "audit/0001.jsonl": rest}).exit_code == 1

    @pytest.mark.parametrize(
        ("case", "segments"),
        [
            ("17 missing", {"audit/0000.jsonl": 0, "audit/0002.jsonl": 2}),
            ("17 the first one missing", {"audit/0001.jsonl": 1, "audit/0002.jsonl": 2}),
            (
                "17 duplicated",
                {"audit/0000.jsonl": 0, "audit/0001.jsonl": 1, "audit/0002.jsonl": 1, "audit/0003.jsonl": 2},
            ),
            ("17 renumbered", {"audit/0000.jsonl": 0, "audit/0001.jsonl": 2, "audit/0002.jsonl": 1}),
            ("17 renumbered from one", {"audit/0001.jsonl": 0, "audit/0002.jsonl": 1, "audit/0003.jsonl": 2}),
        ],
    )
    def test_17_segments(self, story, case, segments):
        parts = [story.lines[:15], story.lines[15:30], story.lines[30:]]
        whole = {f"audit/000{n}.jsonl": b"".join(line + b"\n" for line in part) for n, part in enumerate(parts)}
        assert judged(story, **whole).exit_code == 0

        changed = {name: whole[f"audit/000{part}.jsonl"] for name, part in segments.items()}
        assert judged(story, **({"audit/0000.jsonl": None} | changed)).exit_code == 1, case

    def test_an_empty_segment_and_a_foreign_file_are_refused(self, story):
        assert finding(judged(story, **{"audit/0001.jsonl": b""}), "files").what == "is an empty segment"
        assert "does not belong" in finding(judged(story, **{"audit/0000.jsonl.bak": b"x"}), "files").what

    def test_every_flipped_bit_is_caught_or_lies_in_the_tail(self, story):
        lines = story.lines[:4]
        whole = b"".join(line + b"\n" for line in lines)
        tail = len(whole) - len(lines[-1]) - 1
        missed = []
        for at in range(len(whole)):
            for bit in range(8):
                flipped = whole[:at] + bytes([whole[at] ^ (1 << bit)]) + whole[at + 1 :]
                folder = Folder(TASK, {"audit/0000.jsonl": flipped})
                verdict = judge(Found(folder, "test", Sheet()))
                if verdict.exit_code == 0:
                    missed.append((at, verdict))

        assert all(at >= tail for at, _ in missed)
        assert all(any("after the last record" in text for text in verdict.not_proven) for _, verdict in missed)
        assert len(missed) < 8 * len(lines[-1]) * 3 // 4  # schema and spelling catch part of the tail as well

    def test_a_bit_in_the_last_record_of_a_checkout_is_caught_by_the_commit(self, story):
        git(story.repo, "checkout", "-q", ".")
        path = story.directory / "audit" / "0000.jsonl"
        genuine = path.read_bytes()
        start = genuine.rindex(b"\n", 0, -1) + 1
        for at in range(start, len(genuine), 29):
            path.write_bytes(genuine[:at] + bytes([genuine[at] ^ 1]) + genuine[at + 1 :])
            verdict = verify(story.repo)[0]
            assert verdict.exit_code == 1
            assert finding(verdict, "copy").line == genuine.count(b"\n")


class TestMeaning:
    """The chain is whole: all was written anew by somebody who knows how."""

    def test_30_the_spec_swapped_after_approval(self, story):
        other = SPEC + b"- AC-2: and nobody pays twice\n"

        def swap(records):
            asked = next(n for n, r in enumerate(records) if r["kind"] == "approval.requested")
            again = msgspec.to_builtins(decode(story.lines[seq_of(story, "spec.set")]))
            again["data"] |= {"spec_sha256": sha(other), "rev": 2, "attempt": 0, "source": "github:1"}
            records.insert(asked + 2, again)

        story.documents["spec.md"] = other
        verdict = judged(story, story.forge(swap))

        assert verdict.exit_code == 1
        assert "planning began without an approved spec" in finding(verdict, "spec").what

    def test_30_the_spec_swapped_in_place(self, story):
        other = SPEC + b"- AC-2: and nobody pays twice\n"
        story.documents["spec.md"] = other
        seq = seq_of(story, "spec.set")

        verdict = judged(story, story.forge(lambda r: r[seq]["data"].update(spec_sha256=sha(other))))

        assert "does not bind the spec in force" in finding(verdict, "spec").what

    def test_30_the_document_swapped(self, story):
        verdict = judged(story, **{"spec.md": SPEC + b"more\n"})

        found = finding(verdict, "spec")
        assert (verdict.exit_code, found.expected, found.found) == (1, sha(SPEC), sha(SPEC + b"more\n"))

    def test_30_the_document_taken_away(self, story):
        assert judged(story, **{"plan.md": None}).exit_code == 2

    def test_30_trace_pointing_elsewhere(self, story):
        assert finding(judged(story, **{"trace.json": b'{"judged":{"commit":"0"}}'}), "trace").found == "0"
        assert judged(story, **{"trace.json": b"[]"}).exit_code == 1

    @pytest.mark.parametrize("nth", [0, 1])
    def test_31_an_approval_dropped(self, story, nth):
        seq = seq_of(story, "approval", nth)

        verdict = judged(story, story.forge(lambda records: records.pop(seq)))

        assert finding(verdict, "rulings").what == "counts an approval that no record gives"
        assert "began without an approved" in finding(verdict, ("spec", "plan")[nth]).what

    @pytest.mark.parametrize("nth", [0, 1])
    def test_31_a_ruling_dropped(self, story, nth):
        seq = [n for n in range(len(story.lines)) if is_ruling(story, n, "decision")][nth]

        verdict = judged(story, story.forge(lambda records: records.pop(seq)))

        assert "began without an approved" in finding(verdict, ("spec", "plan")[nth]).what

    @pytest.mark.parametrize(
        ("nth", "step", "gate"), [(0, "planning", "spec"), (1, "coding", "spec"), (2, "coding", "plan")]
    )
    def test_31_a_second_look_dropped(self, story, nth, step, gate):
        seq = [n for n in range(len(story.lines)) if is_ruling(story, n, "execution")][nth]

        verdict = judged(story, story.forge(lambda records: records.pop(seq)))

        expected = f"{step} began, and the approval of the {gate} was not looked at again just before"
        assert finding(verdict, gate).what == expected

    def test_31_an_approval_after_the_work(self, story):
        seq = seq_of(story, "approval", 1)

        verdict = judged(story, story.forge(lambda records: records.insert(seq + 8, records.pop(seq))))

        assert "coding began without" in finding(verdict, "plan").what

    def test_31_an_approval_withdrawn(self, story):
        seq = seq_of(story, "approval", 1)

        def withdraw(records):
            fallen = msgspec.to_builtins(decode(story.lines[seq])) | {"kind": "approval.withdrawn"}
            fallen["data"] = {"what": "plan", "digest": "c" * 64, "reason": "edited"}
            records.insert(seq + 2, fallen)

        assert "coding began without" in finding(judged(story, story.forge(withdraw)), "plan").what

    def test_32_an_approval_by_a_bot(self, story):
        seq = seq_of(story, "approval")

        verdict = judged(story, story.forge(lambda r: r[seq]["actor"].update(id="agent:sonnet", type="agent")))

        assert "which is no person" in finding(verdict, "spec").what

    def test_33_the_requester_approves(self, tmp_path):
        story = Story(tmp_path)
        story.opened()
        story.spec(by=TOM)

        verdict = judged(story)

        assert verdict.exit_code == 0  # a matter of policy
        assert any("four eyes at the spec gate" in text for text in verdict.not_proven)

    def test_35_a_change_after_the_verdict(self, story):
        verdict_at, made = seq_of(story, "qa.verdict", 1), seq_of(story, "commit.made", 1)

        def late(records):
            record = msgspec.to_builtins(decode(story.lines[made]))
            records.insert(verdict_at + 2, record | {"data": record["data"] | {"attempt": 99}})
            records.insert(
                verdict_at + 2,
                msgspec.to_builtins(decode(story.lines[seq_of(story, "attempt.started", 4)]))
                | {"data": {"attempt": 99, "step": "qa_fixer"}},
            )

        verdict = judged(story, story.forge(late))

        assert "work went on after the verdict" in finding(verdict, "change").what

    def test_35_another_source_published(self, story):
        seq = seq_of(story, "attempt.ended", -1)

        verdict = judged(story, story.forge(lambda r: r[seq]["data"].update(source_sha256="d" * 64)))

        assert "not the source that QA judged" in finding(verdict, "change").what

    def test_36_a_record_after_the_end(self, story):
        made = msgspec.to_builtins(decode(story.lines[seq_of(story, "commit.made")]))

        assert finding(judged(story, story.forge(lambda r: r.append(made))), "end").record == len(story.lines)

    def test_36_a_record_after_the_seal(self, story):
        closed = msgspec.to_builtins(decode(story.lines[-1]))
        source = decode(story.lines[seq_of(story, "qa.verdict", 1)]).data["source_sha256"]
        seal = {"outcome": "done", "commit": "", "source_sha256": source, "blobs": 0, "redacted": 0}

        def seal_and_go_on(records):
            records.append(closed | {"kind": "seal", "data": seal})
            records.append(closed | {"kind": "pause", "data": {"on": True}})

        assert finding(judged(story, story.forge(seal_and_go_on)), "end").what == "nothing may follow the seal"

    @pytest.mark.parametrize("kind", ["model.result", "tool.result"])
    def test_37_a_result_removed(self, story, kind):
        seq = seq_of(story, kind)

        verdict = judged(story, story.forge(lambda records: records.pop(seq)))

        assert "has no result" in finding(verdict, "calls").what

    def test_37_a_call_removed(self, story):
        seq = seq_of(story, "tool.call")

        assert judged(story, story.forge(lambda records: records.pop(seq))).exit_code == 1

    def test_37_a_lost_worker_leaves_no_call_open_either(self, story):
        result, ended = seq_of(story, "tool.result"), seq_of(story, "attempt.ended", 2)

        def lose(records):
            records[ended]["outcome"] = "fail"
            records.pop(result)

        verdict = judged(story, story.forge(lose))

        assert finding(verdict, "calls").what.endswith("has no result, and its attempt ended 'fail'")

    def test_40_tests_ran_on_another_commit(self, story):
        seq = seq_of(story, "test.run", 1)
        other = decode(story.lines[seq_of(story, "test.run")]).data["commit"]

        verdict = judged(story, story.forge(lambda r: r[seq]["data"].update(commit=other)))

        assert finding(verdict, "tests").found == other

    def test_40_qa_judged_another_commit(self, story):
        seq = seq_of(story, "qa.verdict", 1)
        other = decode(story.lines[seq_of(story, "test.run")]).data["commit"]

        assert judged(story, story.forge(lambda r: r[seq]["data"].update(commit=other))).exit_code == 1

    def test_40_a_failed_check_called_a_pass(self, story):
        seq = seq_of(story, "qa.verdict")

        verdict = judged(story, story.forge(lambda r: r[seq]["data"].update(verdict="passed")))

        assert "passed although a check failed" in finding(verdict, "qa").what

    def test_41_the_journal_of_another_task(self, story):
        found = Found(
            Folder("43-abcdef", {"audit/0000.jsonl": b"".join(x + b"\n" for x in story.lines)}), "test", Sheet()
        )

        assert finding(judge(found), "chain").expected == "43-abcdef"

    def test_41_the_task_field_rewritten_without_a_new_genesis(self, story):
        other = story.forge(lambda records: [record.update(task="43-abcdef") for record in records])
        found = Found(Folder("43-abcdef", {"audit/0000.jsonl": b"".join(x + b"\n" for x in other)}), "test", Sheet())

        assert "genesis" in finding(judge(found), "chain").what

    def test_41_the_repository_rewritten(self, story):
        def move(records):
            records[0]["data"] |= {"repo": "github:github.com:8", "repo_id": 8}

        assert "genesis" in finding(judged(story, story.forge(move)), "chain").what

    def test_an_approval_of_something_that_nobody_was_shown(self, story):
        seq = seq_of(story, "approval")

        verdict = judged(story, story.forge(lambda r: r[seq]["data"].update(digest="e" * 64)))

        assert "something else than what was asked" in finding(verdict, "spec").what

    def test_a_superseded_attempt_that_goes_on_reporting(self, story):
        started = seq_of(story, "attempt.started", 2)

        verdict = judged(story, story.forge(lambda records: records.pop(started)))

        assert "never began" in finding(verdict, "attempts").what


class TestBlobs:
    @pytest.fixture
    def inside(self, story) -> Story:
        """The blobs lie in the folder, as policy may have it."""
        shutil.copytree(story.blobs.root, story.store() / "audit" / "blobs")
        shutil.copytree(story.directory, story.repo.parent / "copy" / TASK)
        story.copy = story.repo.parent / "copy" / TASK
        return story

    def the_blob(self, story: Story, name: str) -> tuple[str, Path]:
        ref = next(r for line in story.lines for r in decode(line).refs if r.name == name)
        return ref.commit, story.copy / "audit" / "blobs" / ref.commit[:2] / ref.commit

    def test_genuine_blobs_are_counted(self, inside):
        verdict = verify(inside.copy)[0]

        assert verdict.exit_code == 0
        assert any("present, each as its name says" in held.text for held in verdict.held)

    @pytest.mark.parametrize("case", ["39 the report", "46 content", "47 salt"])
    def test_39_46_47_an_altered_blob(self, inside, case):
        _, path = self.the_blob(inside, "report" if case.startswith("39") else "text")
        stored = bytearray(path.read_bytes())
        stored[0 if case.startswith("47") else -1] ^= 1
        path.write_bytes(stored)

        assert (
            finding(verify(inside.copy)[0], "blobs").found
            == hashlib.sha256(b"gatewright/audit/v1/blob\n" + stored).hexdigest()
        )

    def test_48_a_blob_deleted_without_a_record(self, inside):
        _, path = self.the_blob(inside, "prompt")
        path.unlink()

        verdict = verify(inside.copy, by=terms(blobs=inside.copy / "audit" / "blobs"))[0]

        assert verdict.exit_code == 2
        assert "no record says that it was redacted" in finding(verdict, "blobs").what

    def test_48_a_blob_deleted_with_a_record_is_redacted(self, inside):
        name, path = self.the_blob(inside, "prompt")
        path.unlink()
        closed = msgspec.to_builtins(decode(inside.lines[-1]))
        record = closed | {"kind": "blob.redacted", "data": {"target": name, "reason": "personal data"}}
        lines = inside.forge(lambda records: records.append(record))
        (inside.copy / "audit" / "0000.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))

        verdict = verify(inside.copy, by=terms(blobs=inside.copy / "audit" / "blobs"))[0]

        assert verdict.exit_code == 0
        assert any("1 REDACTED" in held.text for held in verdict.held)

    def test_49_a_blob_that_no_record_names(self, inside):
        Blobs(inside.copy / "audit" / "blobs").put(b"planted")

        assert finding(verify(inside.copy)[0], "blobs").what == "no record names it"

    def test_a_draft_in_the_store_that_is_not_the_recorded_one(self, story):
        seq = seq_of(story, "plan.set")
        planted = story.blobs.put(PLAN + b"2. More\n")

        def swap(records):
            records[seq]["refs"] = [{"commit": planted, "name": "text", "size": len(PLAN) + 8}]

        verdict = verify(story.store(story.forge(swap)), by=terms(blobs=story.blobs.root))[0]

        assert "not the one recorded" in finding(verdict, "blobs").what

    def test_a_report_beside_the_journal_that_is_not_the_stored_one(self, story):
        story.documents["qa.md"] = b"# QA\n\nAll good, trust me.\n"

        verdict = verify(story.store(), by=terms(blobs=story.blobs.root))[0]

        assert "not the report that was stored" in finding(verdict, "qa").what


class TestGit:
    def test_52_replaced_objects_are_not_followed(self, story):
        commit = git(story.repo, "rev-parse", "HEAD")
        forged = git(story.repo, "commit-tree", f"{commit}^^{{tree}}", "-m", "nothing here")
        git(story.repo, "replace", commit, forged)
        assert git(story.repo, "ls-tree", "HEAD", ".gatewright") == ""  # git itself shows the forgery

        verdict = verify(story.repo, rev="HEAD")[0]

        assert (verdict.exit_code, verdict.level) == (0, "L1")

    def test_53_an_overwritten_object_is_found_by_its_own_hash(self, story):
        name = f"HEAD:.gatewright/tasks/{TASK}/audit/0000.jsonl"
        oid = git(story.repo, "rev-parse", name)
        path = story.repo / ".git" / "objects" / oid[:2] / oid[2:]
        forged = git(story.repo, "hash-object", "-w", "--stdin", content=b"{}\n")
        other = path.parents[1] / forged[:2] / forged[2:]
        path.chmod(0o600)
        path.write_bytes(other.read_bytes())
        assert git(story.repo, "show", name) == "{}"  # git itself shows the forgery

        verdict = verify(story.repo, rev="HEAD")[0]

        assert verdict.exit_code == 1
        assert oid in finding(verdict, "objects").what

    def test_53_an_overwritten_file_of_the_work_is_found_too(self, story):
        oid = git(story.repo, "rev-parse", "HEAD:pay.py")
        path = story.repo / ".git" / "objects" / oid[:2] / oid[2:]
        forged = git(story.repo, "hash-object", "-w", "--stdin", content=b"def pay(): steal\n")
        path.chmod(0o600)
        path.write_bytes((path.parents[1] / forged[:2] / forged[2:]).read_bytes())

        verdict = verify(story.repo, rev=f"refs/gatewright/audit/{TASK}")[0]

        assert verdict.exit_code == 1
        assert oid in finding(verdict, "commits").what

    def test_54_line_ending_conversion_leaves_evidence_alone(self, story):
        clone = story.repo.parent / "clone"
        git(story.repo, "clone", "-q", "-c", "core.autocrlf=true", str(story.repo), str(clone))
        assert b"\r\n" in (clone / "README").read_bytes()

        assert verify(clone)[0].exit_code == 0

    def test_55_a_symbolic_link_as_a_journal(self, story):
        git(story.repo, "checkout", "-q", ".")
        journal = story.directory / "audit" / "0000.jsonl"
        elsewhere = story.repo.parent / "elsewhere.jsonl"
        shutil.move(journal, elsewhere)
        journal.symlink_to(elsewhere)

        assert finding(verify(story.repo)[0], "files").what == "is a symbolic link"
        git(story.repo, "commit", "-q", "-a", "-m", "link")
        assert "mode 120000" in finding(verify(story.repo, rev="HEAD")[0], "files").what

    def test_55_a_submodule_as_a_journal(self, story):
        path = f".gatewright/tasks/{TASK}/audit/0001.jsonl"
        git(story.repo, "checkout", "-q", ".")
        git(story.repo, "update-index", "--add", "--cacheinfo", f"160000,{story.base},{path}")
        git(story.repo, "commit", "-q", "-m", "submodule")

        assert "mode 160000" in finding(verify(story.repo, rev="HEAD")[0], "files").what

    def test_55_an_executable_journal(self, story):
        git(story.repo, "update-index", "--chmod=+x", f".gatewright/tasks/{TASK}/audit/0000.jsonl")
        git(story.repo, "commit", "-q", "-m", "mode")

        assert "mode 100755" in finding(verify(story.repo, rev="HEAD")[0], "files").what

    def test_58_a_squash_leaves_named_commits_behind(self, story):
        bare = story.repo.parent / "squashed"
        git(story.repo, "switch", "-q", "main")
        git(story.repo, "merge", "-q", "--squash", f"gatewright/{TASK}-retry")
        git(story.repo, "commit", "-q", "-m", "squashed")
        git(story.repo, "clone", "-q", "--bare", "--single-branch", "-b", "main", f"file://{story.repo}", str(bare))

        verdict = verify(bare)[0]

        assert verdict.exit_code == 2
        assert "not in this repository" in finding(verdict, "commits").what
        assert any("holds what QA judged" in held.text for held in verdict.held)

    def test_57_another_journal_on_the_branch_than_on_the_audit_ref(self, story):
        story.store(story.forge(lambda records: records[4].update(ts=records[4]["ts"] + 1))[:42])
        git(story.repo, "commit", "-q", "-a", "-m", "rewritten")

        assert "another journal from record 4 on" in finding(verify(story.repo)[0], "audit ref").what

    def test_61_a_commit_of_the_work_that_no_record_names(self, story):
        first = decode(story.lines[seq_of(story, "commit.made")]).data["commit"]
        sheet = Sheet()
        place = Found(Folder(TASK, {"audit/0000.jsonl": b"".join(x + b"\n" for x in story.lines)}), "test", sheet)
        entries = [e for e in chain.read(place.folder, sheet) if getattr(e.data, "commit", "") != first]

        with Objects(story.repo / ".git") as objects:
            history.check(entries, objects, "", sheet)

        assert (sheet.findings[0].check, sheet.findings[0].found) == ("branch", first)

    def test_a_tree_that_the_record_does_not_name(self, story):
        seq = seq_of(story, "commit.made", 1)
        tree = git(story.repo, "rev-parse", f"{story.base}^{{tree}}")

        verdict = verify(commit_all(story, story.forge(lambda r: r[seq]["data"].update(tree=tree))), rev="HEAD")[0]

        assert "another tree" in finding(verdict, "commits").what

    def test_a_source_digest_that_the_tree_does_not_have(self, story):
        def lie(records):
            true = records[seq_of(story, "qa.verdict", 1)]["data"]["source_sha256"]
            for record in records:
                if record["data"].get("source_sha256") == true:
                    record["data"]["source_sha256"] = "f" * 64

        verdict = verify(commit_all(story, story.forge(lie)), rev="HEAD")[0]

        assert any(one.check == "commits" and "another source" in one.what for one in verdict.findings)

    def test_later_commits_are_not_what_qa_judged_and_that_is_said(self, story):
        (story.repo / "pay.py").write_bytes(b"def pay(): something else\n")
        git(story.repo, "commit", "-q", "-a", "-m", "by hand")

        verdict = verify(story.repo)[0]

        assert verdict.exit_code == 0
        assert any("its source is another" in text for text in verdict.not_proven)


def commit_all(story: Story, lines: list[bytes]) -> Path:
    """Commit a forged journal, and drop the audit ref that would give it away at once."""
    story.store(lines)
    git(story.repo, "update-ref", "-d", f"refs/gatewright/audit/{TASK}")
    git(story.repo, "add", "-A")
    git(story.repo, "commit", "-q", "-m", "forged")
    return story.repo


def test_severities_are_those_of_the_exit_codes():
    assert {severity.value for severity in Severity} == {"tampered", "incomplete", "unreadable"}


def test_git_settings_of_the_user_do_not_matter(story, monkeypatch):
    config = story.repo.parent / "config"
    config.write_text("[core]\n\tnotarealkey\n[broken")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    assert subprocess.run(["git", "-C", str(story.repo), "status"], capture_output=True, check=False).returncode != 0

    assert verify(story.repo)[0].exit_code == 0
    assert os.environ["GIT_DIR"] == "/nonexistent"
