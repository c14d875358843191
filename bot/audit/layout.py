"""Where evidence lies in a repository: one folder per task, nothing shared, so that merges never conflict."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

ROOT: Final = ".gatewright/tasks"
DOCUMENTS: Final = ("spec.md", "plan.md", "plan.json", "qa.md", "trace.json", "cost.json")
MAX_RECORDS: Final = 500  # of a segment: what forges still show as a diff
MAX_BYTES: Final = 384 * 1024
# No filter, line-ending or merge driver may touch evidence; reviewers need not see journals as diffs.
ATTRIBUTES: Final = b"* -text -filter -ident -merge -working-tree-encoding\n"
AUDIT_ATTRIBUTES: Final = b"* -text -diff -merge -filter -ident -working-tree-encoding linguist-generated\n"

# Whatever any version has written: anything else there could make git show other bytes than it holds.
FIXED: Final[Mapping[str, tuple[bytes, ...]]] = MappingProxyType(
    {".gitattributes": (ATTRIBUTES,), "audit/.gitattributes": (AUDIT_ATTRIBUTES,)}
)

SEGMENT: Final = re.compile(r"audit/([0-9]{4})\.jsonl")
BLOB: Final = re.compile(r"audit/blobs/([0-9a-f]{2})/(\1[0-9a-f]{62})")
# The most that a file may hold, by what it is: several times what is ever written, and no room to hide anything large.
_LIMITS: Final = (
    (re.compile(r"(?:audit/)?\.gitattributes"), 1_024),
    (re.compile(r"audit/[0-9]{4}\.jsonl"), 384 * 1024),
    (re.compile(r"audit/blobs/.*"), 16 * 1024 * 1024),
    (re.compile(r"audit/.*"), 256 * 1024),
    (re.compile(r".*"), 4 * 1024 * 1024),
)
# What is signed for, below `audit/`; the number is the size of the journal that it is about.
SIGNED: Final = re.compile(
    r"key\.note|checkpoints/([0-9]{10})\.note|proofs/([0-9]{10})\.(?:tlog-proof|tsr)|seal\.dsse\.json"
)
NOTHING: Final[Mapping[str, bytes]] = MappingProxyType({})
_KNOWN: Final = re.compile(
    r"\.gitattributes|audit/(?:\.gitattributes|key\.note|checkpoints/[0-9]{10}\.note|proofs/[0-9]{10}\.(?:tlog-proof|tsr)"
    r"|seal\.dsse\.json)"
)


def folder(task: str) -> str:
    """Name a task's evidence folder from the root of the repository."""
    return f"{ROOT}/{task}"


def checkpoint(size: int) -> str:
    """Name the signed checkpoint over the first `size` records, below a task's folder."""
    return f"audit/checkpoints/{size:010d}.note"


def is_known(path: str) -> bool:
    """Tell whether a path below a task's folder may exist at all."""
    return path in DOCUMENTS or any(shape.fullmatch(path) for shape in (SEGMENT, BLOB, _KNOWN))


def limit(path: str) -> int:
    """Name how many bytes a known file below a task's folder may have."""
    return next(size for shape, size in _LIMITS if shape.fullmatch(path))


def segments(lines: Sequence[bytes]) -> Iterator[bytes]:
    """Cut a journal into files; a longer journal has the same files first, so that none is ever rewritten."""
    batch: list[bytes] = []
    size = 0
    for line in lines:
        if batch and (len(batch) == MAX_RECORDS or size + len(line) + 1 > MAX_BYTES):
            yield b"".join(batch)
            batch, size = [], 0
        batch.append(line + b"\n")
        size += len(line) + 1
    if batch:
        yield b"".join(batch)


def evidence_files(
    task_id: str, lines: Sequence[bytes], documents: Mapping[str, bytes], signed: Mapping[str, bytes] = NOTHING
) -> dict[str, bytes]:
    """Lay out a task's evidence as repository paths and contents; raise ValueError for a file it does not have.

    `signed` has paths below `audit/`: the task's key, checkpoints, proofs, seal.
    """
    unknown = set(documents) - set(DOCUMENTS) | {path for path in signed if not SIGNED.fullmatch(path)}
    if unknown:
        raise ValueError(f"no part of the evidence: {', '.join(sorted(unknown))}")
    files = {".gitattributes": ATTRIBUTES, "audit/.gitattributes": AUDIT_ATTRIBUTES}
    files |= {name: documents[name] for name in DOCUMENTS if name in documents}
    files |= {f"audit/{number:04d}.jsonl": content for number, content in enumerate(segments(lines))}
    files |= {f"audit/{path}": signed[path] for path in sorted(signed)}
    return {f"{folder(task_id)}/{path}": content for path, content in files.items()}
