"""What the jail shows, as bubblewrap options; pure, apart from looking at how this machine's /usr is laid out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from bot.network import CA_NAMES

INSIDE: Final = "/workspace"
HOME: Final = "/home/agent"
SOCKET: Final = "/run/gw.sock"
INIT: Final = "/opt/gw/init.sh"
TRUST: Final = "/opt/gw/trust.pem"
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
    "PATH": PATH,
    "LANG": "C.UTF-8",
    "TMPDIR": "/tmp",  # noqa: S108 - the jail's own
    "USER": "agent",
    "LOGNAME": "agent",
    "SHELL": "/bin/bash",
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


def options(room: Room, env: Mapping[str, str]) -> list[str]:
    """List every option in order; order matters, since a later mount covers an earlier one."""
    listed = [
        "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session",
        "--clearenv", "--cap-drop", "ALL", "--hostname", "sandbox", "--uid", UID, "--gid", UID,
        *system(),
        "--proc", "/proc", "--dev", "/dev",
        "--size", str(room.tmp_mb * MEBI), "--tmpfs", "/tmp",  # noqa: S108 - the jail's own
        "--size", str(HOME_SIZE), "--tmpfs", "/home", "--dir", HOME,
        *_accounts(room.shelf), "--ro-bind", str(room.shelf / "init.sh"), INIT,
    ]  # fmt: skip
    for source, target in room.binds:
        listed += ["--ro-bind", str(source), target]
    names: dict[str, str] = {}
    if room.trust:
        listed += ["--ro-bind", str(room.trust), TRUST]
        names = dict.fromkeys(CA_NAMES, TRUST)
    if room.socket:
        listed += ["--ro-bind", str(room.socket), SOCKET]
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


def encode(listed: Sequence[str]) -> bytes:
    """Write options as `bwrap --args FD` reads them: `ps` and /proc/1/cmdline then show none of them."""
    return b"".join(option.encode() + b"\0" for option in listed)


def _accounts(shelf: Path) -> list[str]:
    return [part for name in ACCOUNTS for part in ("--ro-bind", str(shelf / name), f"/etc/{name}")]
