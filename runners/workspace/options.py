"""What the jail shows, as bubblewrap options; pure, apart from looking at how this machine's /usr is laid out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from bot.model.errors import GatewrightError
from bot.network import CA_NAMES, DIRECT_NAMES, LOCAL, PROXY_NAMES
from runners.workspace import prepared, rootfs

INSIDE: Final = "/workspace"
HOME: Final = "/home/agent"
SOCKET: Final = "/run/gw.sock"
EGRESS: Final = "/run/egress.sock"  # init.sh knows it, and serves it one port above PORT
INIT: Final = "/opt/gw/init.sh"
TRUST: Final = "/opt/gw/trust.pem"
KIT: Final = "/opt/gw/kit"
PORT: Final = 8900
PATH: Final = "/usr/local/bin:/usr/bin:/bin"
UID: Final = "1000"  # as the agent sees itself
MEBI: Final = 1 << 20
HOME_SIZE: Final = 512 * MEBI  # one runtime unpacks 300 MB into its cache
SHM_SIZE: Final = 128 * MEBI

SYSTEM: Final = ("bin", "lib", "lib32", "lib64", "libx32", "sbin")  # beside /usr: links into it, or directories
SHARED: Final = ("/etc/ssl", "/etc/pki", "/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf.d")
ACCOUNTS: Final = {
    "passwd": f"agent:x:{UID}:{UID}:agent:{HOME}:/bin/bash\n",
    "group": f"agent:x:{UID}:\n",
    "hosts": "127.0.0.1 localhost sandbox\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
ENV: Final = {
    "HOME": HOME,
    "LANG": "C.UTF-8",
    "TMPDIR": "/tmp",  # noqa: S108 - the jail's own
    "USER": "agent",
    "LOGNAME": "agent",
    "PYTHONDONTWRITEBYTECODE": "1",  # what tools leave behind must not become part of the change
}


class Room(msgspec.Struct, frozen=True):
    """What one jail is made of; `shelf` holds our own files (init.sh, accounts), `binds` are read-only.

    `trust` are the certificate authorities of the site, for whatever the jail may talk to.
    """

    worktree: Path
    shelf: Path
    tmp_mb: int
    writable: bool = True
    objects: Path | None = None
    socket: Path | None = None
    binds: tuple[tuple[Path, str], ...] = ()
    trust: Path | None = None
    egress: Path | None = None  # the socket of the filtering proxy
    prepared: Path | None = None  # what [setup] has made
    home: Path | None = None  # a folder that stays, in place of the empty home
    rootfs: Path | None = None  # a team's own, in place of this machine's /usr
    kit: Path | None = None  # our programs, for a root file system that has none of them
    path: tuple[str, ...] = ()  # searched before PATH


def options(room: Room, env: Mapping[str, str]) -> list[str]:
    """List every option in order; order matters, since a later mount covers an earlier one."""
    listed = [
        "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session",
        "--clearenv", "--cap-drop", "ALL", "--hostname", "sandbox", "--uid", UID, "--gid", UID,
        *(rootfs.system(room.rootfs, *_targets(room)) if room.rootfs else system()),
        "--proc", "/proc", "--dev", "/dev",
        "--size", str(room.tmp_mb * MEBI), "--tmpfs", "/tmp",  # noqa: S108 - the jail's own
        "--size", str(HOME_SIZE), "--tmpfs", "/home", "--dir", HOME,
        *(rootfs.homes(room.rootfs, [HOME, *(inside for _, inside in room.binds)]) if room.rootfs else []),
        *_accounts(room.shelf), "--ro-bind", str(room.shelf / "init.sh"), INIT,
    ]  # fmt: skip
    if room.kit:
        listed += ["--ro-bind", str(room.kit), KIT]
    if room.home:
        listed += ["--bind", str(room.home), HOME]
    if room.prepared:
        listed += prepared.options(room.prepared, HOME)
    for source, target in room.binds:
        listed += ["--ro-bind", str(source), target]
    names = {"PATH": ":".join([*room.path, PATH]), "SHELL": _shell(room)}
    if room.trust:
        listed += ["--ro-bind", str(room.trust), TRUST]
        names |= dict.fromkeys(CA_NAMES, TRUST)
    if room.socket:
        listed += ["--ro-bind", str(room.socket), SOCKET]
    if room.egress:
        listed += ["--ro-bind", str(room.egress), EGRESS]
        names |= dict.fromkeys(PROXY_NAMES, outside()) | dict.fromkeys(DIRECT_NAMES, ",".join(LOCAL))
    if room.objects:
        listed += ["--ro-bind", str(room.objects), str(room.objects)]
    listed += ["--bind" if room.writable else "--ro-bind", str(room.worktree), INSIDE, "--chdir", INSIDE]
    for name, value in {**ENV, **names, **env}.items():
        listed += ["--setenv", name, value]
    # Last: bubblewrap's own root and /dev are tmpfs of half the machine's memory, and writable until here.
    return [*listed, "--size", str(SHM_SIZE), "--tmpfs", "/dev/shm", "--remount-ro", "/dev", "--remount-ro", "/"]  # noqa: S108


def system() -> list[str]:
    """Show the machine's programs read-only, and of /etc only what programs cannot do without."""
    listed = ["--ro-bind", "/usr", "/usr"]
    for name in SYSTEM:
        place = Path("/", name)
        if place.is_symlink():
            listed += ["--symlink", str(place.readlink()), str(place)]
        elif place.is_dir():
            listed += ["--ro-bind", str(place), str(place)]
    for path in SHARED:
        listed += ["--ro-bind-try", path, path]
    return listed


def outside() -> str:
    """Name the filtering proxy as a jail sees it, where it has one."""
    return f"http://127.0.0.1:{PORT + 1}"


def searched(named: Sequence[str], room: Room) -> tuple[str, ...]:
    """List what `sandbox.path` adds to PATH; raises GW-SANDBOX-BIND for a folder that the jail does not show."""
    paths = tuple(str(Path(each).expanduser()) for each in named)
    for path in paths:
        if ":" in path or not path.startswith("/") or not _is_shown(path, room):
            why = "the jail shows no folder of that name" + (" in the root file system" if room.rootfs else "")
            raise GatewrightError(
                "GW-SANDBOX-BIND", f"sandbox.path names {path}", why=why, fix="add what it lies in to sandbox.binds"
            )
    return paths


def _is_shown(path: str, room: Room) -> bool:
    for source, target in reversed(room.binds):
        if Path(path).is_relative_to(target):
            return (source / Path(path).relative_to(target)).is_dir()
    if room.rootfs:
        place = rootfs.found(room.rootfs, path)
        return place is not None and place.is_dir()
    return Path(path).parts[1:2] in {("usr",), *((name,) for name in SYSTEM)} and Path(path).is_dir()


def start(room: Room) -> list[str]:
    """Name the shell that runs init.sh: our own where nothing can be presumed of the root file system."""
    return ["/bin/bash"] if room.kit is None else ours("bash")


def ours(name: str) -> list[str]:
    """Name a program of the kit as it is started where there is a root file system."""
    return [f"{KIT}/loader", "--library-path", KIT, f"{KIT}/{name}"]


def encode(listed: Sequence[str]) -> bytes:
    """Write options as `bwrap --args FD` reads them: `ps` and /proc/1/cmdline then show none of them."""
    return b"".join(option.encode() + b"\0" for option in listed)


def _shell(room: Room) -> str:
    return (room.rootfs and rootfs.shell(room.rootfs)) or "/bin/bash"


def _targets(room: Room) -> tuple[list[str], list[str]]:
    """List where we will mount in the jail: what is ours, and what the settings or a worktree bring."""
    ours = [*(f"/etc/{name}" for name in ACCOUNTS), INIT, TRUST, KIT, SOCKET, EGRESS, prepared.SOURCE, INSIDE]
    runtimes = [target for _, target in room.binds if target.startswith("/opt/rt")]
    brought = [target for _, target in room.binds if target not in runtimes]
    return [*ours, *runtimes], [*brought, *([str(room.objects)] if room.objects else [])]


def _accounts(shelf: Path) -> list[str]:
    return [part for name in ACCOUNTS for part in ("--ro-bind", str(shelf / name), f"/etc/{name}")]
