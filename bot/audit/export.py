"""A bundle for an auditor: evidence, how to check it, and what it came to, as one zip with the same bytes each time."""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bot import __version__
from bot.audit import bundle
from bot.audit.blobs import Blobs, commitment
from bot.audit.changes import as_csv, row
from bot.audit.gathering import Told
from bot.model.errors import UsageError

TEMPLATES: Final = Path(__file__).parent / "templates"
SUMS: Final = "SHA256SUMS"
EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the first second that a zip can name
LOG: Final = re.compile(r"checkpoint|checkpoints/[0-9]{10}\.note|entries/[0-9]{6}\.jsonl")


def contents(
    tasks: Sequence[Told], *, log: Path | None = None, blobs: Path | None = None, trust: Path | None = None
) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """Lay out a bundle: path -> bytes; and name what was left out, because a bundle cannot hold it."""
    held: dict[str, bytes] = {}
    left: list[str] = []
    for one in tasks:
        named = {f"tasks/{one.folder.task}/{name}": raw for name, raw in one.folder.files.items()}
        held |= {name: raw for name, raw in named.items() if bundle.holds(name, len(raw))}
        left += [name for name in named if name not in held]
        left += [f"tasks/{one.folder.task}/{name} ({why})" for name, why in one.folder.refused]
    held |= _log(log) if log is not None else {}
    held |= _blobs(tasks, Blobs(blobs)) if blobs is not None else {}
    held |= {"trust.json": trust.read_bytes()} if trust is not None else {}
    held["changes.csv"] = as_csv(row(one) for one in tasks).encode()
    held["verify.py"] = verifier()
    held["README.md"] = _readme(tasks, held).encode()
    sums = "".join(f"{hashlib.sha256(held[name]).hexdigest()}  {name}\n" for name in sorted(held))
    return held | {SUMS: sums.encode()}, tuple(sorted(left))


def write(held: Mapping[str, bytes], path: Path) -> None:
    """Write a zip with nothing in it that changes from one time to the next; raise UsageError where that cannot be."""
    try:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name in sorted(held):
                member = zipfile.ZipInfo(name, EPOCH)
                member.create_system, member.external_attr = 3, 0o100644 << 16  # as Unix does, wherever this runs
                member.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(member, held[name])
    except OSError as error:
        raise UsageError(
            "GW-AUDIT-OUT", f"{path} cannot be written", why=error.strerror or str(error), fix="name another file"
        ) from error


def digest(held: Mapping[str, bytes]) -> str:
    """Name what two bundles of the same evidence have in common, however they were packed."""
    return hashlib.sha256(held[SUMS]).hexdigest()


def verifier() -> bytes:
    """Read the verifier of one file."""
    shipped = files("bot") / "shipped" / "verify.py"
    place = shipped if shipped.is_file() else Path(__file__).parents[2] / "docs" / "verify.py"  # of a checkout
    return place.read_bytes()


def _log(log: Path) -> dict[str, bytes]:
    found = (path for path in sorted(log.rglob("*")) if path.is_file() and not path.is_symlink())
    named = ((path.relative_to(log).as_posix(), path) for path in found)
    return {f"log/{name}": path.read_bytes() for name, path in named if LOG.fullmatch(name)}


def _blobs(tasks: Sequence[Told], store: Blobs) -> dict[str, bytes]:
    """Take what records name and the store holds unaltered."""
    names = sorted({ref.commit for one in tasks for entry in one.entries for ref in entry.record.refs})
    found = ((name, store.path(name).read_bytes()) for name in names if store.has(name))
    return {f"blobs/{name[:2]}/{name}": raw for name, raw in found if commitment(raw) == name}


def _readme(tasks: Sequence[Told], held: Mapping[str, bytes]) -> str:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - Markdown; what it shows of tasks is ids, states and counts
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    parts = {f"has_{name}": any(_is_of(name, path) for path in held) for name in ("log", "blobs", "trust")}
    shown = [one.verdict for one in tasks]
    return made.get_template("bundle.md.j2").render(tasks=shown, version=__version__, **parts)


def _is_of(part: str, path: str) -> bool:
    return path == f"{part}.json" or path.startswith(f"{part}/")
