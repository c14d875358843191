from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.audit import layout
from bot.audit.layout import MAX_BYTES, MAX_RECORDS, evidence_files, segments

TASK = "42-k7f3qd"


def test_evidence_lies_in_the_folder_of_its_task():
    files = evidence_files(TASK, [b"{}"], {"spec.md": b"#\n", "trace.json": b"{}\n"})

    assert sorted(files) == [
        f".gatewright/tasks/{TASK}/{name}"
        for name in (".gitattributes", "audit/.gitattributes", "audit/0000.jsonl", "spec.md", "trace.json")
    ]
    assert files[f".gatewright/tasks/{TASK}/audit/0000.jsonl"] == b"{}\n"
    assert b"-text" in files[f".gatewright/tasks/{TASK}/audit/.gitattributes"]


def test_nothing_else_can_be_slipped_in():
    with pytest.raises(ValueError, match=r"\.\./x"):
        evidence_files(TASK, [], {"../x": b""})


@given(st.lists(st.integers(1, 200_000), max_size=30), st.integers(0, 30))
def test_segments_stay_small_and_a_longer_journal_never_rewrites_a_full_one(sizes, cut):
    lines = [b"x" * size for size in sizes]
    whole, before = list(segments(lines)), list(segments(lines[:cut]))

    assert b"".join(whole) == b"".join(line + b"\n" for line in lines)
    assert all(len(part) <= MAX_BYTES or part.count(b"\n") == 1 for part in whole)
    assert before[:-1] == whole[: len(before) - 1 if before else 0]
    assert not before or whole[len(before) - 1].startswith(before[-1])


def test_a_segment_ends_after_five_hundred_records():
    assert [part.count(b"\n") for part in segments([b"{}"] * 1_201)] == [MAX_RECORDS, MAX_RECORDS, 201]


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("spec.md", True),
        ("cost.json", True),
        ("audit/0000.jsonl", True),
        ("audit/blobs/aa/aa" + "0" * 62, True),
        ("audit/blobs/aa/bb" + "0" * 62, False),
        ("audit/checkpoints/0000000042.note", True),
        ("audit/seal.dsse.json", True),
        ("audit/00000.jsonl", False),
        ("audit/0000.jsonl\n", False),
        ("notes.md", False),
        ("audit", False),
    ],
)
def test_only_files_with_a_meaning_are_known(path, known):
    assert layout.is_known(path) is known


def test_what_was_signed_lies_beside_the_journal_and_nothing_else_does():
    assert layout.checkpoint(7) == "audit/checkpoints/0000000007.note"
    signed = {
        "key.note": b"k", "checkpoints/0000000007.note": b"c", "proofs/0000000007.tlog-proof": b"p",
        "proofs/0000000007.tsr": b"t", "seal.dsse.json": b"s",
    }  # fmt: skip
    found = layout.evidence_files("42-k7f3qd", [b"a"], {}, signed)
    prefix = f"{layout.folder('42-k7f3qd')}/audit/"
    assert {path.removeprefix(prefix): found[path] for path in found if path.removeprefix(prefix) in signed} == signed
    assert all(layout.is_known(f"audit/{path}") for path in signed)
    for path in (
        ".gitattributes", "0000.jsonl", "../spec.md", "checkpoints/7.note", "proofs/0000000007.sh", "key.note/x", "",
        "checkpoints/0000000007.note\n", "approvals/1.txt", "blobs/aa/" + "a" * 64,
    ):  # fmt: skip
        with pytest.raises(ValueError, match="no part of the evidence"):
            layout.evidence_files("42-k7f3qd", [b"a"], {}, {path: b"x"})


def test_what_stands_in_attributes_is_fixed_and_holds_what_is_written_today():
    prefix = f"{layout.folder('42-k7f3qd')}/"
    found = layout.evidence_files("42-k7f3qd", [b"a"], {})
    for path, known in layout.FIXED.items():
        assert found[prefix + path] in known
