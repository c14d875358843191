"""Whether the jail's user gets to a path of the host, and copies for what it does not get to."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from bot.model.errors import GatewrightError

RESERVED: Final = ("/dev", "/etc", "/home", "/opt", "/opt/gw", "/proc", "/run", "/sys", "/tmp", "/workspace")  # noqa: S108


def blocked(path: Path, uid: int | None, groups: tuple[int, ...] = ()) -> Path | None:
    """Name the first directory on the way to `path` that a user may not pass through, None where the way is free.

    Judges by mode bits; an access control list that grants more is not seen. `uid` None means ourselves.
    """
    for directory in reversed((path.parent.resolve() / path.name).parents):
        if uid is None:
            if not os.access(directory, os.X_OK):
                return directory
            continue
        if not _may(directory.stat(), uid, groups, stat.S_IXUSR):
            return directory
    return None


def require(path: Path, uid: int | None, groups: tuple[int, ...] = ()) -> None:
    """Raise GW-SANDBOX-PATH where the jail's user cannot get to a path."""
    if (at := blocked(path, uid, groups)) is None:
        return
    raise GatewrightError(
        "GW-SANDBOX-PATH",
        f"the sandbox cannot get to {path}",
        why=f"{at} lets nobody but its owner pass, and the sandbox runs as user {uid if uid is not None else 'you'}",
        fix="set worker.work_dir to a directory outside of private homes (such as /var/lib/gatewright), "
        "or run the worker as an ordinary user",
    )


def readable(source: Path, cache: Path, uid: int | None, groups: tuple[int, ...] = ()) -> Path:
    """Return `source`, or a copy in `cache` where the jail's user cannot get to it; made once per version.

    Hard links where they can be had: a runtime of 200 MB then costs nothing.
    """
    source = source.resolve(strict=True)
    if uid is None or (blocked(source, uid, groups) is None and _may(source.stat(), uid, groups, stat.S_IRUSR)):
        return source
    version = hashlib.sha256("\n".join([str(source), *_versions(source)]).encode(errors="surrogateescape"))
    kept = cache / f"{version.hexdigest()[:24]}-{source.name}"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        cache.chmod(0o711)
        _copy(source, kept)
    require(kept, uid, groups)
    return kept


def toolchains(
    named: Sequence[str], cache: Path, uid: int | None, groups: tuple[int, ...] = ()
) -> tuple[tuple[Path, str], ...]:
    """Find what `sandbox.binds` names as (host path, path inside); raises GW-SANDBOX-BIND for one that is not there.

    Outer ones come first, whatever their order in the settings: the later mount would cover the earlier.
    """
    places = sorted({Path(os.path.normpath(Path(each).expanduser().absolute())) for each in named})
    for place in places:
        if not place.exists():
            why = "it is a link that leads nowhere" if place.is_symlink() else "there is no such file or folder here"
            fix = "install it on every worker, or take it out of the settings"
            raise GatewrightError("GW-SANDBOX-BIND", f"sandbox.binds names {place}", why=why, fix=fix)
        if place == place.parent or str(place) in RESERVED:
            fix = "name the folder of the toolchain itself"
            raise GatewrightError(
                "GW-SANDBOX-BIND", f"sandbox.binds names {place}", why="the jail has its own", fix=fix
            )
    return tuple((readable(place, cache, uid, groups), str(place)) for place in places)


def _versions(source: Path) -> Iterator[str]:
    """Say of a file, or of every directory below a folder, what changes with it: new, gone and renamed files show."""
    for path in [str(source), *(directory for directory, _, _ in os.walk(source))]:
        found = os.stat(path)  # noqa: PTH116 - a toolchain has thousands
        yield f"{path}\0{found.st_dev}\0{found.st_ino}\0{found.st_mtime_ns}\0{found.st_size}"


def _copy(source: Path, kept: Path) -> None:
    """Copy beside the goal and rename: two attempts may want the same runtime at once."""
    fresh = kept.with_name(f".{uuid.uuid4().hex}")
    try:
        if source.is_dir():
            shutil.copytree(source, fresh, symlinks=True, copy_function=copy_file)
            _open_up(fresh)
        else:
            copy_file(str(source), str(fresh))
        with suppress(FileExistsError, OSError):
            fresh.rename(kept)
    finally:
        if fresh.is_dir():
            shutil.rmtree(fresh)
        else:
            fresh.unlink(missing_ok=True)


def copy_file(source: str, target: str) -> None:
    """Copy a file so that everybody may read it: a hard link where that is so already and links can be had."""
    mode = Path(source).stat().st_mode
    if mode & stat.S_IROTH:  # a link shares the mode, and the original's is not ours to change
        with suppress(OSError):
            os.link(source, target)
            return
    shutil.copyfile(source, target)
    Path(target).chmod(0o755 if mode & stat.S_IXUSR else 0o644)


def _open_up(root: Path) -> None:
    for directory, _, _ in os.walk(root):
        Path(directory).chmod(0o755)


def _may(found: os.stat_result, uid: int, groups: tuple[int, ...], wanted: int) -> bool:
    if found.st_uid == uid:
        return bool(found.st_mode & wanted)
    if found.st_gid in groups:
        return bool(found.st_mode & wanted >> 3)
    return bool(found.st_mode & wanted >> 6)
