"""Secrets in work that is on no forge yet, and its commits made anew where only their history holds one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

from bot.model.order import Order
from runners import evidence, leaks
from runners.providers.protocol import Recorder
from runners.quality.detect import CONFIG
from runners.scope.secrets import Exemption, Leak
from runners.workspace.git import Git
from runners.workspace.mirror import Mirror
from runners.workspace.worktree import Commit, Worktree

SUBJECT: Final = "Put the work into one commit"
WHY: Final = "These commits were made anew as one: something in between looked like a secret."
SHOWN: Final = 20  # subjects that the new message repeats
WIDTH: Final = 100
Trailers = Mapping[str, str]


class Burden:
    """The secrets in the work of one order that is not on the forge yet."""

    def __init__(self, git: Git, order: Order, worktree: Worktree, mirror: Mirror, known: Collection[str]) -> None:
        """Look at a worktree's head; `known` are the server's own secrets."""
        self._git = git
        self._order = order
        self._worktree = worktree
        self._mirror = mirror
        self._known = known

    async def exempt(self) -> tuple[Exemption, ...]:
        """Read what may pass: from the default branch as it is now, so that people can add to it."""
        newest = await self._mirror.head(self._order.base_branch) or self._order.base_commit
        return leaks.allowed(await self._worktree.read(newest, CONFIG), self._order.policy)

    async def added(self, tree: str) -> tuple[Leak, ...]:
        """List the secrets that the files of a tree or commit add to what the forge has."""
        return await leaks.between(self._git, await self.floor(), tree, await self.exempt(), self._known)

    async def pushing(self) -> tuple[Leak, ...]:
        """List the secrets that a push of the branch would send."""
        head, tip = self._worktree.head, self._worktree.tip
        return await leaks.pushing(self._git, self._order, head, tip, await self.exempt(), self._known)

    async def is_in_history(self) -> bool:
        """Tell whether nothing is wrong with the files at the head, and something is with the way to them."""
        return bool(await self.pushing()) and not await self.added(self._worktree.head)

    async def floor(self) -> str:
        """Name the newest commit below the head that cannot be taken back: what the forge has, or else the base."""
        tip = self._worktree.tip
        is_below = tip and not (await self._git.call("merge-base", "--is-ancestor", tip, self._worktree.head)).code
        return tip if is_below else self._order.base_commit

    async def fold(
        self,
        recorder: Recorder,
        source: str,
        *,
        message: Callable[[str, str], str],
        trailers: Callable[[str], Trailers],
    ) -> Commit:
        """Put one commit in place of all above the floor, announced before; `source` is the digest of its files."""
        floor, head = await self.floor(), self._worktree.head
        raw = await self._git.run("log", "--reverse", "--format=%H %s", f"{floor}..{head}")
        subjects = dict(line.partition(" ")[::2] for line in raw.decode("utf-8", "replace").splitlines())
        steps = [work.step for work in await evidence.work(self._git, self._order, head) if work.commit in subjects]
        tree = await self._git.line("rev-parse", f"{head}^{{tree}}")
        recorder.record("commit.intent", {"tree": tree, "source_sha256": source, "step": 0})
        text = message(SUBJECT, body(list(subjects.values())))
        return await self._worktree.fold(floor, text, trailers(label(steps)))


def body(subjects: Sequence[str]) -> str:
    """Repeat first lines of messages, oldest first, as far as there is room."""
    more = [f"- and {len(subjects) - SHOWN} more"] if len(subjects) > SHOWN else []
    return "\n".join([WHY, "", *(f"- {line[:WIDTH]}" for line in subjects[:SHOWN]), *more])


def label(steps: Iterable[int]) -> str:
    """Name the steps of the plan that one commit stands for, as `runners.evidence` reads them."""
    return ",".join(str(step) for step in sorted({*steps} - {0})) or "anew"
