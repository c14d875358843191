"""What attacks share: planting in a tree, all that a worker does with one, and our jail with one wall taken away."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from runners.workspace.open import OpenJail
from runners.workspace.patch import PatchRefused
from runners.workspace.sandbox import Sandbox
from runners.workspace.worktree import Worktree
from tests.runners.workspace.kit import ask

Plant = Callable[[Path, str], object]
PYTHON = "/usr/bin/python3"
COMMIT = "git add -A; git commit -qm m"
GIT = "git -c safe.directory='*'"  # plain git over a tree that belongs to the jail's user


def put(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def config(tree: Path, text: str, folder: str = ".git") -> None:
    with (tree / folder / "config").open("a") as file:
        file.write(text)


def hook(name: str) -> Plant:
    def plant(tree: Path, cmd: str) -> None:
        put(tree / ".git/hooks" / name, f"#!/bin/sh\n{cmd}\n", 0o755)
        put(tree / "f", "changed\n")

    return plant


def setting(text: str, attributes: str = "", script: bool = False) -> Plant:
    """Plant configuration; %CMD% is the attacker's command."""

    def plant(tree: Path, cmd: str) -> None:
        if script:
            put(tree / "evil.sh", f"#!/bin/sh\n{cmd}\n", 0o755)
        config(tree, text.replace("%CMD%", cmd))
        if attributes:
            put(tree / ".gitattributes", attributes)
        put(tree / "f", "changed\n")

    return plant


async def everything(worktree: Worktree, url: str) -> str:
    """Do all the worker ever does with a hostile tree; return the last commit."""
    with suppress(PatchRefused):
        await worktree.commit("step")
    head = worktree.head
    await worktree.source_entries(head)
    await worktree.read(head, "calc.py")
    await worktree.checkout(head, worktree.directory / "qa")
    await worktree.push(url, None, f"{head}:refs/heads/gatewright/t")
    await worktree.changes()
    await worktree.reset(head)
    return head


async def bash(jail: Sandbox | OpenJail, line: str, **more) -> str:
    return (await jail.run(["bash", "-c", line], timeout=more.pop("timeout", 20), **more)).output


async def python(jail: Sandbox | OpenJail, code: str, **more) -> str:
    return (await jail.run([PYTHON, "-c", textwrap.dedent(code)], timeout=20, **more)).output


def weakened(jail: Sandbox, argv: Sequence[str], *gone: Sequence[str], instead: Sequence[str] = ()) -> str:
    """Run a command in our jail without some of its options (`instead` are put first), and return what it said.

    This is how an attack is seen to work without the one defence that stops it.
    """
    path = jail.wrapper(argv, env={})
    args = path.with_suffix(".args")
    listed = args.read_text().split("\0")[:-1]
    for option in gone:
        at = next(i for i in range(len(listed)) if listed[i : i + len(option)] == list(option))
        del listed[at : at + len(option)]
    args.write_text("".join(f"{each}\0" for each in [*instead, *listed]))
    said = ask(path)
    return said.stdout + said.stderr
