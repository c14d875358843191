"""Nothing can hide where the source digest does not look: names, modes and sizes are a closed list."""

from __future__ import annotations

import pytest

from bot.audit import layout
from bot.audit.verify import verify
from tests.bot.audit.story import TASK, Story, git

STRANGE = (
    "payload.sh", "spec.md.orig", "audit/0000.jsonl.bak", "audit/hook", "audit/blobs/x", "audit/notes/a.md", "SPEC.MD",
    "plan.md/x", "audit/checkpoints/1.note", ".hidden",
)  # fmt: skip


def plant(story: Story, path: str, content: bytes = b"#!/bin/sh\n") -> None:
    (story.repo / path).parent.mkdir(parents=True, exist_ok=True)
    (story.repo / path).write_bytes(content)


def commit(story: Story) -> None:
    git(story.repo, "add", "-A", "-f")
    git(story.repo, "commit", "-q", "-m", "more")


def files(story: Story, rev: str | None) -> list[tuple[str, str]]:
    (verdict,) = verify(story.repo, rev=rev, task=TASK)
    assert verdict.exit_code == 1
    return [(finding.what, finding.file) for finding in verdict.findings if finding.check == "files"]


@pytest.mark.parametrize("rev", [None, "HEAD"])
@pytest.mark.parametrize("name", STRANGE)
def test_a_foreign_file_in_a_tasks_folder_is_a_finding(story: Story, name: str, rev: str | None):
    git(story.repo, "checkout", "-q", ".")
    if name.startswith("plan.md/"):
        (story.directory / "plan.md").unlink()
    plant(story, f"{layout.folder(TASK)}/{name}")
    commit(story)

    assert files(story, rev) == [
        ("is no part of the evidence and does not belong here", f"{layout.folder(TASK)}/{name}")
    ]


@pytest.mark.parametrize("rev", [None, "HEAD"])
@pytest.mark.parametrize("name", ["setup.py", "Not_A_Task/run.sh"])
def test_a_foreign_file_beside_the_folders_of_tasks_is_a_finding(story: Story, name: str, rev: str | None):
    git(story.repo, "checkout", "-q", ".")
    plant(story, f"{layout.ROOT}/{name}")
    commit(story)

    stranger = name.partition("/")[0]
    assert files(story, rev) == [("belongs to no task and does not belong here", f"{layout.ROOT}/{stranger}")]


@pytest.mark.parametrize("rev", [None, "HEAD"])
@pytest.mark.parametrize("name", [".gitattributes", "audit/seal.dsse.json", "qa.md"])
def test_a_known_file_of_another_size_is_a_finding(story: Story, name: str, rev: str | None):
    git(story.repo, "checkout", "-q", ".")
    plant(story, f"{layout.folder(TASK)}/{name}", b"#" * (layout.limit(name) + 1))
    commit(story)

    assert ("is larger than such a file can be", f"{layout.folder(TASK)}/{name}") in files(story, rev)


def test_a_link_beside_the_folders_of_tasks_is_a_finding(story: Story):
    git(story.repo, "checkout", "-q", ".")
    (story.repo / layout.ROOT / "99-abcdef").symlink_to("/")

    assert files(story, None) == [("belongs to no task and does not belong here", f"{layout.ROOT}/99-abcdef")]


def test_what_we_write_ourselves_is_within_the_limits(story: Story):
    for path, content in layout.evidence_files(TASK, story.lines, story.documents).items():
        assert len(content) <= layout.limit(path.removeprefix(f"{layout.folder(TASK)}/"))
    assert layout.limit("audit/0000.jsonl") >= layout.MAX_BYTES
