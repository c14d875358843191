"""The only place that starts git.

Git is always told where its directory is, so that a `.git` an agent wrote is never read; the environment is built from
nothing, and whatever in git can start a program or reach the network is off unless a caller turns it on for one URL.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from bot.model.errors import GatewrightError

PATH: Final = "/usr/local/bin:/usr/bin:/bin"
PATIENCE: Final = 5.0  # seconds in which the pipes of a git that has ended are empty
ERRORS_KEPT: Final = 64 << 10
FULL: Final = ("No space left on device", "Disk quota exceeded")
SPEECH: Final = 2_000  # characters of git's words that an error repeats

CONFIG: Final = (
    # nothing of the tree, the user or the machine is started
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.untrackedCache", "false"),
    ("core.pager", "cat"),
    ("core.editor", "false"),
    ("core.sshCommand", "false"),
    ("core.askPass", "false"),
    ("credential.helper", ""),
    ("commit.gpgSign", "false"),
    ("tag.gpgSign", "false"),
    ("push.gpgSign", "false"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    # submodules are not followed
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("push.recurseSubmodules", "no"),
    ("diff.ignoreSubmodules", "all"),
    # objects stay: worktrees borrow them from the mirror
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    # names that other systems read as `.git`
    ("core.protectNTFS", "true"),
    ("core.protectHFS", "true"),
    # what is committed are the bytes that were written
    ("core.autocrlf", "false"),
    ("core.symlinks", "true"),
    ("core.fileMode", "true"),
    ("core.quotePath", "false"),
    # the directories belong to the jail's user, not to us
    ("safe.directory", "*"),
    # a redirect would carry the credential to another host
    ("http.followRedirects", "false"),
    ("http.lowSpeedLimit", "1000"),
    ("http.lowSpeedTime", "60"),
)


class GitError(GatewrightError):
    """A git command failed; `why` holds what git said, without credentials."""


class Outcome(msgspec.Struct, frozen=True):
    """How one git process ended."""

    code: int
    out: bytes
    err: str
    truncated: bool = False


def program() -> str:
    """Find git, or raise GW-GIT-MISSING."""
    found = shutil.which("git")
    if found is None:
        raise GitError("GW-GIT-MISSING", "git is not installed", fix="apt install git")
    return found


def environment(config: Sequence[tuple[str, str]], protocol: str) -> dict[str, str]:
    """Build a whole environment; `protocol` is git's colon separated allow-list, empty lets no transport through."""
    pairs = (*CONFIG, *config)
    env = {
        "PATH": PATH,
        "HOME": "/nonexistent",
        "XDG_CONFIG_HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "false",
        "GIT_PAGER": "cat",
        "GIT_EDITOR": "false",
        "GIT_ALLOW_PROTOCOL": protocol or "none",
        "GIT_PROTOCOL_FROM_USER": "0",
        "GIT_CONFIG_COUNT": str(len(pairs)),
    }
    for index, (key, value) in enumerate(pairs):
        env[f"GIT_CONFIG_KEY_{index}"] = key
        env[f"GIT_CONFIG_VALUE_{index}"] = value
    return env


class Git:
    """Git over one directory of ours and, where there is one, a tree whose content nobody trusts."""

    def __init__(self, git_dir: Path, work_tree: Path | None = None) -> None:
        self.git_dir = git_dir
        self.work_tree = work_tree

    async def run(
        self,
        *args: str,
        input: bytes | None = None,  # noqa: A002 - as subprocess calls it
        env: Mapping[str, str] | None = None,
        check: bool = True,
        timeout: float = 300.0,
    ) -> bytes:
        """Run one command and return its stdout; raise GitError where it fails and `check` is set."""
        outcome = await self.call(*args, input=input, env=env, timeout=timeout)
        if check and outcome.code:
            raise failure(args, outcome)
        return outcome.out

    async def line(self, *args: str, input: bytes | None = None, env: Mapping[str, str] | None = None) -> str:  # noqa: A002
        """Run one command that answers with one line, such as an object id."""
        return (await self.run(*args, input=input, env=env)).decode().strip()

    async def call(
        self,
        *args: str,
        input: bytes | None = None,  # noqa: A002 - as subprocess calls it
        env: Mapping[str, str] | None = None,
        config: Sequence[tuple[str, str]] = (),
        protocol: str = "",
        timeout: float = 300.0,
        limit: int | None = None,
        pass_fds: Sequence[int] = (),
    ) -> Outcome:
        """Run one command whatever its exit code; past `limit` bytes of stdout git is stopped."""
        process = await self._start(args, env, config, protocol, pass_fds)
        try:
            async with asyncio.timeout(timeout):
                _, (out, cut), err = await asyncio.gather(
                    _feed(process, input), _read(process, limit), _drain(process.stderr)
                )
                code = await process.wait()
        except TimeoutError as error:
            raise GitError(
                "GW-GIT-TIMEOUT",
                f"git {args[0]} took longer than {timeout:.0f} s",
                fix="look whether the forge answers, then retry",
            ) from error
        finally:
            await _reap(process)
        return Outcome(0 if cut else code, out, err.decode(errors="replace"), cut)

    async def objects(self, names: Sequence[str]) -> AsyncGenerator[bytes, None]:
        """Read the content of many objects in order through one process, one at a time in memory."""
        process = await self._start(("cat-file", "--batch"), None, (), "")
        feeder = asyncio.ensure_future(_feed(process, "".join(f"{name}\n" for name in names).encode()))
        assert process.stdout is not None  # noqa: S101 - asked for a pipe
        try:
            for name in names:
                header = (await process.stdout.readline()).split()
                if len(header) != 3:
                    raise GitError("GW-GIT-OBJECT", f"object {name} cannot be read from {self.git_dir.name}")
                content = await process.stdout.readexactly(int(header[2]) + 1)
                yield content[:-1]
        finally:
            feeder.cancel()
            with suppress(asyncio.CancelledError):
                await feeder
            await _reap(process)

    async def _start(
        self,
        args: Sequence[str],
        env: Mapping[str, str] | None,
        config: Sequence[tuple[str, str]],
        protocol: str,
        pass_fds: Sequence[int] = (),
    ) -> asyncio.subprocess.Process:
        bare = ("core.bare", "false" if self.work_tree else "true")
        full = environment((bare, *config), protocol) | {"GIT_DIR": str(self.git_dir)}
        if self.work_tree:
            full["GIT_WORK_TREE"] = str(self.work_tree)
        # Never the tree: git must not look around in it on its own.
        cwd = self.git_dir if self.git_dir.is_dir() else self.git_dir.parent
        return await asyncio.create_subprocess_exec(
            program(),
            *args,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=full | dict(env or {}),
            cwd=cwd,
            start_new_session=True,
            pass_fds=pass_fds,
        )


def failure(args: Sequence[str], outcome: Outcome) -> GitError:
    """Make the error of a command that failed for no reason we have a better word for."""
    if any(words in outcome.err for words in FULL):
        return GitError(
            "GW-GIT-DISK",
            f"git {args[0]} found no room on the disk of this machine",
            why=outcome.err[-SPEECH:].strip(),
            fix="make room where worker.work_dir lies, then `retry`",
        )
    return GitError("GW-GIT-FAILED", f"git {args[0]} failed with exit code {outcome.code}", why=outcome.err[-SPEECH:])


async def _feed(process: asyncio.subprocess.Process, content: bytes | None) -> None:
    assert process.stdin is not None  # noqa: S101 - asked for a pipe
    with suppress(BrokenPipeError, ConnectionResetError):  # git read as much as it wanted
        if content:
            process.stdin.write(content)
            await process.stdin.drain()
        process.stdin.close()
        await process.stdin.wait_closed()


async def _read(process: asyncio.subprocess.Process, limit: int | None) -> tuple[bytes, bool]:
    assert process.stdout is not None  # noqa: S101 - asked for a pipe
    if limit is None:
        return await process.stdout.read(), False
    kept = bytearray()
    while chunk := await process.stdout.read(1 << 16):
        kept += chunk
        if len(kept) > limit:
            _kill(process)
            return bytes(kept[:limit]), True
    return bytes(kept), False


async def _drain(stream: asyncio.StreamReader | None) -> bytes:
    assert stream is not None  # noqa: S101 - asked for a pipe
    kept = b""
    while chunk := await stream.read(1 << 16):
        kept = (kept + chunk)[-ERRORS_KEPT:]
    return kept


def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


async def _reap(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        _kill(process)
        await process.wait()
    # A pipe that is not read to its end stays open for as long as anybody knows the process.
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            for stream in (process.stdout, process.stderr):
                while stream is not None and await stream.read(1 << 16):
                    pass
