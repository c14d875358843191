"""Our own programs for a root file system that has none of them: copies with their libraries and their loader.

They run by the loader's command line, so that they need nothing of the root file system and change nothing in the
environment of what they start.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Final

from bot.model.errors import GatewrightError
from runners.workspace.reach import copy_file, require

PATH: Final = "/usr/local/bin:/usr/bin:/bin"
PROGRAMS: Final = ("bash", "setpriv", "socat", "cp")  # what init.sh uses, and what copies a kept set-up
LOADER: Final = "loader"
LIBRARY: Final = re.compile(r"^\s*(?:(\S+) => )?(/\S+) \(0x", re.MULTILINE)


def prepared(cache: Path, uid: int | None, groups: tuple[int, ...] = ()) -> Path:
    """Return a folder of our programs, made once per version; GW-SANDBOX-ROOTFS where they are static."""
    parts = _parts()
    versions = (f"{name}\0{path}\0{path.stat().st_mtime_ns}\0{path.stat().st_size}" for name, path in parts.items())
    kept = cache / f"kit-{hashlib.sha256('|'.join(sorted(versions)).encode()).hexdigest()[:24]}"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        cache.chmod(0o711)
        _make(kept, parts)
    require(kept / LOADER, uid, groups)
    return kept


def _make(kept: Path, parts: dict[str, Path]) -> None:
    """Fill a folder beside the goal and rename: two attempts may want it at once."""
    fresh = kept.with_name(f".{uuid.uuid4().hex}")
    fresh.mkdir()
    try:
        for name, path in parts.items():
            copy_file(str(path), str(fresh / name))
        fresh.chmod(0o755)
        with suppress(OSError):
            fresh.rename(kept)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _parts() -> dict[str, Path]:
    """List names in the kit and the files of this machine that they are copies of."""
    parts: dict[str, Path] = {}
    for name in PROGRAMS:
        found = shutil.which(name, path=PATH)
        if found is None:
            raise GatewrightError("GW-SANDBOX-MISSING", f"the sandbox needs {name}", fix=f"apt install {name}")
        program = Path(found).resolve()
        parts[name] = program
        for needed, path in LIBRARY.findall(_libraries(program)):
            library = Path(path).resolve()
            parts[Path(needed or path).name if needed else LOADER] = library
    if LOADER not in parts:
        what = f"{', '.join(PROGRAMS)} of this machine cannot be taken into a root file system"
        raise GatewrightError("GW-SANDBOX-ROOTFS", what, why="they are linked statically", fix="use a worker on glibc")
    return parts


def _libraries(program: Path) -> str:
    said = subprocess.run(
        ["ldd", program], capture_output=True, text=True, check=False, timeout=20, env={"PATH": PATH, "LC_ALL": "C"}
    )
    return said.stdout
