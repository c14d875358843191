"""Search the files of a worktree: a program of its own, because a regular expression of a model may run for ever.

`python -m runners.loop.search DESCRIPTOR` reads a query as JSON on stdin and prints what the model will see. Python's
`re` holds the interpreter lock and knows no time-out, so the expression must not run in the worker, which also hosts
the gateway. A child can be killed; it also has limits of its own and drops root for the worktree's owner.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final, TypedDict

from runners.loop.beneath import Beneath
from runners.loop.errors import ToolFault
from runners.loop.walk import Folder, matches, walk

SECONDS: Final = 20.0
MAX_FILE: Final = 2 * 1024 * 1024  # larger ones are data or generated
MAX_LINE: Final = 300  # characters of a matching line
_MEMORY: Final = 1024**3
_FAULT: Final = 3  # exit code: stdout is a message for the model


class Query(TypedDict):
    """What to look for; an empty glob takes every file."""

    pattern: str
    path: str
    glob: str
    literal: bool
    ignore_case: bool
    limit: int


async def search(files: Beneath, query: Query, seconds: float = SECONDS) -> str:
    """Run the search program over an open worktree; it is killed after `seconds` and when the caller is cancelled."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-m", "runners.loop.search", str(files.fileno()),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        pass_fds=[files.fileno()], cwd="/", env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    try:
        async with asyncio.timeout(seconds):
            output, errors = await child.communicate(json.dumps(query).encode())
    except TimeoutError:
        raise ToolFault(f"the search took more than {seconds:g} s; simplify the pattern or name a folder.") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    text = output.decode(errors="replace")
    if child.returncode == _FAULT:
        raise ToolFault(text)
    if child.returncode:
        raise ToolFault(f"the search ended with {child.returncode}: {errors.decode(errors='replace')[-300:]}")
    return text


def find(files: Beneath, query: Query, deadline: float) -> str:
    """Search in this process, as the program does; raises ToolFault where the query makes no sense."""
    test = _tester(query)
    found: list[str] = []
    skipped = 0
    for folder, name in _candidates(files, query, deadline):
        path = folder.path(name)
        try:
            content = files.read_in(folder.descriptor, name, path, MAX_FILE)
        except ToolFault:
            skipped += 1
            continue
        if b"\0" in content[:8192]:
            continue
        found.extend(_hits(path, content, test))
        if len(found) > query["limit"]:
            break
    return _told(found, query, skipped)


def _candidates(files: Beneath, query: Query, deadline: float) -> Iterator[tuple[Folder, str]]:
    start, only = files.parts(query["path"]), ""
    if files.is_file(start):
        start, only = start[:-1], start[-1]
    for folder in walk(files, start, deep=not only, deadline=deadline):
        for entry in folder.entries:
            if entry.kind != "file" or (only and entry.name != only):
                continue
            if not query["glob"] or matches(folder.path(entry.name), query["glob"]):
                yield folder, entry.name


def _tester(query: Query) -> Callable[[str], object]:
    flags = re.IGNORECASE if query["ignore_case"] else re.NOFLAG
    pattern = re.escape(query["pattern"]) if query["literal"] else query["pattern"]
    try:
        return re.compile(pattern, flags).search
    except (re.error, RecursionError, OverflowError) as error:
        raise ToolFault(f"not a regular expression: {error}. Set literal to true for plain text.") from None


def _hits(path: str, content: bytes, test: Callable[[str], object]) -> Iterator[str]:
    for number, line in enumerate(content.decode(errors="replace").split("\n"), 1):
        if test(line):
            text = line.rstrip("\r")
            yield f"{path}:{number}: {text if len(text) <= MAX_LINE else text[:MAX_LINE] + ' [line cut]'}"


def _told(found: list[str], query: Query, skipped: int) -> str:
    lines = found[: query["limit"]]
    if len(found) > len(lines):
        lines.append(f"[more than {query['limit']} matches: narrow the pattern, the path or the glob]")
    elif not lines:
        lines.append("no match")
    if skipped:
        lines.append(f"[{skipped} file(s) not searched: larger than {MAX_FILE:,} bytes or unreadable]")
    return "\n".join(lines)


def _confine(files: Beneath) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (int(SECONDS) + 1, int(SECONDS) + 1))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    if os.geteuid() == 0 and files.owner[0] != 0:
        os.setgroups([])
        os.setgid(files.owner[1])
        os.setuid(files.owner[0])


def main() -> int:
    """Answer one query."""
    query: Query = json.load(sys.stdin)
    with Beneath(int(sys.argv[1])) as files:
        _confine(files)
        try:
            answer, code = find(files, query, time.monotonic() + SECONDS), 0
        except ToolFault as fault:
            answer, code = str(fault), _FAULT
    sys.stdout.buffer.write(answer.encode(errors="replace"))
    return code


if __name__ == "__main__":
    sys.exit(main())
