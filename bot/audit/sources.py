"""Where evidence may be read from: a path, a repository by its address, or the bundle that an auditor was given."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bot.audit import bundle, remote


class Source(msgspec.Struct, frozen=True):
    """A directory to read, and what came along with it; a trust file that came along is nobody's word."""

    path: Path
    log: Path | None = None
    blobs: Path | None = None


@contextlib.contextmanager
def opened(where: str) -> Iterator[Source]:
    """Bring evidence within reach, for as long as it is looked at; raise UsageError or NoEvidence where it is not."""
    if remote.is_address(where):
        with tempfile.TemporaryDirectory(prefix="gatewright-audit-") as scratch:
            yield Source(remote.fetch(where, Path(scratch) / "repo.git"))
    elif bundle.is_bundle(Path(where)):
        with tempfile.TemporaryDirectory(prefix="gatewright-audit-") as scratch:
            top = Path(scratch)
            bundle.unpack(Path(where), top)
            yield _with_parts(top)
    elif bundle.is_unpacked(Path(where)):
        yield _with_parts(Path(where))
    else:
        yield Source(Path(where))


def _with_parts(top: Path) -> Source:
    return Source(top, *(top / name if (top / name).is_dir() else None for name in ("log", "blobs")))
