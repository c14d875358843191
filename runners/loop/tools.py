"""What a model may do: read, search, list; and where the phase writes, edit, write and run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Final, ParamSpec, TypeVar

import msgspec
from msgspec import Meta

from runners.loop import edit as editing
from runners.loop import search as searching
from runners.loop import walk as walking
from runners.loop.beneath import Beneath
from runners.loop.errors import ToolFault
from runners.loop.excerpt import bounded, numbered
from runners.loop.prompts import about
from runners.loop.protocol import Tool
from runners.providers.protocol import Access, Jail, Limits

MAX_LISTED: Final = 1_000
LIST_SECONDS: Final = 10.0
HEAD_BYTES: Final = 100  # of a command's result: how it ended
Positive = Annotated[int, Meta(ge=1)]


@dataclass(frozen=True)
class Bench:
    """What the tools of one run work on."""

    files: Beneath
    jail: Jail
    limits: Limits


class Output(msgspec.Struct, frozen=True):
    """What a tool gives back: text for the model, and how it went for the record."""

    text: str
    outcome: str = "ok"  # ok, fail, denied, timeout or cancelled
    exit: int | None = None


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every tool's arguments; prompts.toml describes each field."""


class Read(Arguments, frozen=True):
    """Arguments of read."""

    path: str
    offset: Positive = 1
    limit: Positive = 2_000


class Search(Arguments, frozen=True):
    """Arguments of search."""

    pattern: str
    path: str = "."
    glob: str = ""
    literal: bool = False
    ignore_case: bool = False
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 100


class List(Arguments, frozen=True):
    """Arguments of list."""

    path: str = "."
    glob: str = ""


class Edit(Arguments, frozen=True):
    """Arguments of edit."""

    path: str
    old: str
    new: str
    all: bool = False


class Write(Arguments, frozen=True):
    """Arguments of write."""

    path: str
    content: str


class Run(Arguments, frozen=True):
    """Arguments of run."""

    command: str
    timeout: Annotated[int, Meta(ge=1, le=1_800)] = 120


P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Kind:
    """One tool: the arguments it takes, what it does, and whether it only reads (and so may run beside others)."""

    name: str
    arguments: type[Arguments]
    carry_out: Callable[[Any, Bench], Awaitable[Output]]
    reads: bool = False

    def decode(self, arguments: str) -> Arguments:
        """Check arguments as a model wrote them; raises msgspec.MsgspecError with the fault."""
        raw = arguments.encode(errors="replace") or b"{}"
        return msgspec.json.decode(raw, type=self.arguments, strict=False)

    def offer(self) -> Tool:
        """Describe the tool to a model."""
        return _offer(self.name, self.arguments)


@cache
def _offer(name: str, arguments: type[Arguments]) -> Tool:
    _, components = msgspec.json.schema_components((arguments,))
    schema = components[arguments.__name__]
    texts = about(name)
    properties = {key: {**value, "description": texts[key]} for key, value in schema["properties"].items()}
    parameters = {
        "type": "object", "properties": properties, "required": schema.get("required", []),
        "additionalProperties": False,
    }  # fmt: skip
    return Tool(name, texts["about"], parameters)


async def _in_thread(work: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
    """Do file work off the loop; a cancelled caller waits for its end, so nothing goes on after the run."""
    task = asyncio.ensure_future(asyncio.to_thread(work, *arguments, **named))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def read(arguments: Read, bench: Bench) -> Output:
    """Show numbered lines of a text file."""
    content = await _in_thread(bench.files.read, arguments.path)
    if b"\0" in content[:8192]:
        raise ToolFault(f"{arguments.path}: a binary file of {len(content):,} bytes.")
    text = content.decode(errors="replace")
    return Output(numbered(text, arguments.offset, arguments.limit, bench.limits.output_bytes))


async def search(arguments: Search, bench: Bench) -> Output:
    """Show matching lines below a folder."""
    query: searching.Query = msgspec.structs.asdict(arguments)  # type: ignore[assignment]
    return Output(bounded(await searching.search(bench.files, query), bench.limits.output_bytes))


async def list_(arguments: List, bench: Bench) -> Output:
    """Show what a folder holds, links with where they point."""
    text = await _in_thread(_listing, bench.files, arguments)
    return Output(bounded(text, bench.limits.output_bytes))


def _listing(files: Beneath, arguments: List) -> str:
    lines: list[str] = []
    deadline = time.monotonic() + LIST_SECONDS
    for folder in walking.walk(files, files.parts(arguments.path), deep=bool(arguments.glob), deadline=deadline):
        for entry in folder.entries:
            path = folder.path(entry.name)
            if not arguments.glob or walking.matches(path, arguments.glob):
                lines.append(path + _mark(entry))
        if len(lines) > MAX_LISTED:
            return "\n".join([*lines[:MAX_LISTED], f"[more than {MAX_LISTED:,} entries: narrow the path or the glob]"])
    return "\n".join(lines) or ("no match" if arguments.glob else "[the folder is empty]")


def _mark(entry: walking.Entry) -> str:
    marks = {"folder": "/", "link": f" -> {ascii(entry.target)[1:-1]}", "other": " (not a regular file)"}
    return marks.get(entry.kind, "")


async def edit(arguments: Edit, bench: Bench) -> Output:
    """Replace an exact piece of a file."""
    return Output(await _in_thread(_edit, bench.files, arguments))


def _edit(files: Beneath, arguments: Edit) -> str:
    try:
        text = files.read(arguments.path).decode()
    except UnicodeDecodeError:
        raise ToolFault(f"{arguments.path}: not UTF-8 text; change it with run.") from None
    edited = editing.replace(text, arguments.old, arguments.new, every=arguments.all)
    files.write(arguments.path, edited.text.encode())
    places = "1 place" if edited.places == 1 else f"{edited.places} places"
    return f"{arguments.path}: {places} changed, the first at line {edited.line}."


async def write(arguments: Write, bench: Bench) -> Output:
    """Write a whole file."""
    content = arguments.content.encode()
    new = await _in_thread(bench.files.write, arguments.path, content)
    return Output(f"{arguments.path}: {'made' if new else 'rewritten'}, {len(content):,} bytes.")


async def run(arguments: Run, bench: Bench) -> Output:
    """Run a command in the jail."""
    argv = ("/bin/sh", "-c", arguments.command)
    limit = bench.limits.output_bytes
    ended = await bench.jail.run(argv, timeout=arguments.timeout, max_output=max(0, limit - HEAD_BYTES))
    if ended.timed_out:
        return Output(bounded(f"killed after {arguments.timeout} s\n{ended.output}", limit), "timeout", ended.exit_code)
    text = bounded(f"exit code {ended.exit_code}\n{ended.output}", limit)
    return Output(text, "ok" if ended.exit_code == 0 else "fail", ended.exit_code)


TOOLS: Final = (
    Kind("read", Read, read, reads=True),
    Kind("search", Search, search, reads=True),
    Kind("list", List, list_, reads=True),
    Kind("edit", Edit, edit),
    Kind("write", Write, write),
    Kind("run", Run, run),
)


def offered(access: Access, kinds: tuple[Kind, ...] = TOOLS) -> dict[str, Kind]:
    """Choose the tools of a run by what its phase may do."""
    return {kind.name: kind for kind in kinds if kind.reads or access is Access.WRITE}
