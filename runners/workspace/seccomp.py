"""The system call filter of the jail, as a classic BPF program (see seccomp(2) and linux/filter.h).

Default allow: agents run compilers, interpreters and test suites of every kind. Refused is what no build needs and
kernel exploits begin with: mounts, namespaces, keys, tracing, BPF, io_uring, modules, clocks, rare socket families.
"""

from __future__ import annotations

import errno
import platform
import struct
from typing import Final

from bot.model.errors import GatewrightError

LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
AT_LEAST: Final = 0x35  # BPF_JMP | BPF_JGE | BPF_K
ANY_BIT: Final = 0x45  # BPF_JMP | BPF_JSET | BPF_K
RETURN: Final = 0x06  # BPF_RET | BPF_K

ALLOW: Final = 0x7FFF0000
KILL: Final = 0x80000000  # the process, not the thread
ERRNO: Final = 0x00050000

NR, ARCH, ARG0, ARG1 = 0, 4, 16, 24  # offsets in struct seccomp_data; low words on little-endian machines
X32: Final = 0x40000000  # x86_64 numbers of the x32 ABI begin here
AUDIT_ARCH: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# CLONE_NEWTIME .. CLONE_NEWNET; NEWTIME shares its bit with the exit signal of clone(2) and is clone3's alone
NAMESPACES: Final = 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000 | 0x00020000
TERMINAL_INJECTION: Final = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
FAMILIES: Final = (1, 2, 10, 16)  # unix, inet, inet6, netlink (getifaddrs asks it)

# name: (x86_64, aarch64); None where the architecture does not have it
SPECIAL: Final = {"clone": (56, 220), "clone3": (435, 435), "ioctl": (16, 29), "socket": (41, 198)}
DENIED: Final[dict[str, tuple[int | None, int | None]]] = {
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "unshare": (272, 97), "setns": (308, 268),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "process_madvise": (440, 440), "perf_event_open": (298, 241), "bpf": (321, 280),
    "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427), "memfd_secret": (447, 447), "vmsplice": (278, 75),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106), "create_module": (174, None),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "lookup_dcookie": (212, 18),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89),
    "syslog": (103, 116), "nfsservctl": (180, 42), "vhangup": (153, 58),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266), "adjtimex": (159, 171),
    "migrate_pages": (256, 238), "move_pages": (279, 239),
    "iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None), "uselib": (134, None),
    "ustat": (136, None), "sysfs": (139, None),
}  # fmt: skip

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant


def refuse(number: int) -> int:
    """Make the return value that fails a call with an errno."""
    return ERRNO | number


def instructions(machine: str) -> list[Instruction]:
    """Lay out the filter for one architecture; every jump is forward and within its block."""
    column = 0 if machine == "x86_64" else 1
    code: list[Instruction] = [
        (LOAD, 0, 0, ARCH),
        (EQUAL, 1, 0, AUDIT_ARCH[machine]),
        (RETURN, 0, 0, KILL),  # a foreign calling convention has other numbers
        (LOAD, 0, 0, NR),
    ]
    if machine == "x86_64":
        code += [(AT_LEAST, 0, 1, X32), (RETURN, 0, 0, KILL)]
    # The arguments of clone3 lie in memory, out of a filter's sight: libraries fall back to clone on ENOSYS.
    code += [(EQUAL, 0, 1, SPECIAL["clone3"][column]), (RETURN, 0, 0, refuse(errno.ENOSYS))]
    for numbers in DENIED.values():
        if (number := numbers[column]) is not None:
            code += [(EQUAL, 0, 1, number), (RETURN, 0, 0, refuse(errno.EPERM))]
    code += _block(SPECIAL["clone"][column], ARG0, [(ANY_BIT, NAMESPACES)], refuse(errno.EPERM), ALLOW)
    ioctls = [(EQUAL, request) for request in TERMINAL_INJECTION]
    code += _block(SPECIAL["ioctl"][column], ARG1, ioctls, refuse(errno.EPERM), ALLOW)
    families = [(EQUAL, family) for family in FAMILIES]
    code += _block(SPECIAL["socket"][column], ARG0, families, ALLOW, refuse(errno.EAFNOSUPPORT))
    return [*code, (RETURN, 0, 0, ALLOW)]


def program(machine: str = "") -> bytes:
    """Assemble the filter as bubblewrap reads it; the running machine's unless another is named."""
    machine = machine or platform.machine()
    if machine not in AUDIT_ARCH:
        raise GatewrightError(
            "GW-SANDBOX-ARCH",
            f"the sandbox has no system call filter for {machine}",
            why="call numbers differ by architecture, and no filter is no sandbox",
            fix=f"run the worker on {' or '.join(AUDIT_ARCH)}",
        )
    return b"".join(struct.pack("=HBBI", *one) for one in instructions(machine))


def _block(number: int, offset: int, tests: list[tuple[int, int]], hit: int, miss: int) -> list[Instruction]:
    """Decide one call by one argument: `hit` if any test is true, else `miss`."""
    size = len(tests)
    checks = [(test, size - index, 0, constant) for index, (test, constant) in enumerate(tests)]
    return [
        (EQUAL, 0, size + 3, number),
        (LOAD, 0, 0, offset),
        *checks,
        (RETURN, 0, 0, miss),
        (RETURN, 0, 0, hit),
    ]
