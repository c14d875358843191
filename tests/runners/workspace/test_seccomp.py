"""The filter, run by a small machine of our own for both architectures, and by the kernel in test_sandbox.py."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest

from bot.model.errors import GatewrightError
from runners.workspace import seccomp

ALLOWED = {
    "x86_64": {"read": 0, "execve": 59, "fork": 57},
    "aarch64": {"read": 63, "execve": 221, "clock_gettime": 113},
}
COLUMN = {"x86_64": 0, "aarch64": 1}


def decide(program: bytes, nr: int, arch: int, args: tuple[int, ...] = ()) -> int:
    """Run a classic BPF program as the kernel does; any jump out of it is an error."""
    data = struct.pack("=IIQ6Q", nr, arch, 0, *(*args, *(0,) * (6 - len(args))))
    code = [struct.unpack_from("=HBBI", program, offset) for offset in range(0, len(program), 8)]
    at, value = 0, 0
    while True:
        kind, yes, no, constant = code[at]
        at += 1
        if kind == seccomp.RETURN:
            return constant
        if kind == seccomp.LOAD:
            (value,) = struct.unpack_from("=I", data, constant)
        else:
            hit = {
                seccomp.EQUAL: value == constant,
                seccomp.AT_LEAST: value >= constant,
                seccomp.ANY_BIT: bool(value & constant),
            }[kind]
            at += yes if hit else no


@pytest.fixture(params=["x86_64", "aarch64"])
def machine(request) -> str:
    return request.param


def test_every_denied_call_fails_with_eperm(machine):
    program, arch = seccomp.program(machine), seccomp.AUDIT_ARCH[machine]
    for name, numbers in seccomp.DENIED.items():
        if (number := numbers[COLUMN[machine]]) is not None:
            assert decide(program, number, arch) == seccomp.ERRNO | errno.EPERM, name


def test_ordinary_calls_pass(machine):
    program, arch = seccomp.program(machine), seccomp.AUDIT_ARCH[machine]
    for name, number in ALLOWED[machine].items():
        assert decide(program, number, arch) == seccomp.ALLOW, name


def test_clone3_is_unknown_so_that_libraries_fall_back_to_clone(machine):
    number = seccomp.SPECIAL["clone3"][COLUMN[machine]]
    assert decide(seccomp.program(machine), number, seccomp.AUDIT_ARCH[machine]) == seccomp.ERRNO | errno.ENOSYS


@pytest.mark.parametrize("bit", [17, 25, 26, 27, 28, 29, 30])
def test_clone_makes_processes_and_threads_but_no_namespace(machine, bit):
    program, arch, number = (
        seccomp.program(machine),
        seccomp.AUDIT_ARCH[machine],
        seccomp.SPECIAL["clone"][COLUMN[machine]],
    )
    threads = 0x003D0F00  # what pthread_create asks for
    assert decide(program, number, arch, (threads,)) == seccomp.ALLOW
    assert decide(program, number, arch, (threads | 1 << bit,)) == seccomp.ERRNO | errno.EPERM


def test_keystrokes_cannot_be_put_into_a_terminal(machine):
    program, arch, number = (
        seccomp.program(machine),
        seccomp.AUDIT_ARCH[machine],
        seccomp.SPECIAL["ioctl"][COLUMN[machine]],
    )
    assert decide(program, number, arch, (0, 0x5401)) == seccomp.ALLOW  # TCGETS
    assert decide(program, number, arch, (0, 0x5412)) == seccomp.ERRNO | errno.EPERM
    assert (
        decide(program, number, arch, (0, 0xFFFFFFFF00005412)) == seccomp.ERRNO | errno.EPERM
    )  # the kernel cuts to 32 bits


@pytest.mark.parametrize(
    ("family", "passes"), [(1, True), (2, True), (10, True), (16, True), (17, False), (38, False), (40, False)]
)
def test_only_common_socket_families_pass(machine, family, passes):
    number = seccomp.SPECIAL["socket"][COLUMN[machine]]
    wanted = seccomp.ALLOW if passes else seccomp.ERRNO | errno.EAFNOSUPPORT
    assert decide(seccomp.program(machine), number, seccomp.AUDIT_ARCH[machine], (family,)) == wanted


def test_a_foreign_calling_convention_kills(machine):
    assert decide(seccomp.program(machine), 0, 0x40000003) == seccomp.KILL  # i386
    if machine == "x86_64":
        assert decide(seccomp.program(machine), seccomp.X32 | 0, seccomp.AUDIT_ARCH[machine]) == seccomp.KILL


def test_an_unknown_machine_is_refused_with_a_reason():
    with pytest.raises(GatewrightError, match="GW-SANDBOX-ARCH"):
        seccomp.program("riscv64")


@pytest.mark.parametrize(
    ("header", "pattern", "column"),
    [
        ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", r"#define __NR_(\w+) (\d+)", 0),
        ("/usr/include/asm-generic/unistd.h", r"#define __NR(?:3264)?_(\w+)\s+(\d+)", 1),
    ],
)
def test_numbers_are_the_kernels(header, pattern, column):
    """Compared with the kernel's headers where this machine has them; the tables themselves never change."""
    if not Path(header).is_file():
        pytest.skip(f"{header} is not installed (apt install linux-libc-dev)")
    known = {name: int(number) for name, number in re.findall(pattern, Path(header).read_text())}
    for name, numbers in {**seccomp.DENIED, **seccomp.SPECIAL}.items():
        if numbers[column] is not None:
            assert known[name] == numbers[column], name
