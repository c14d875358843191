"""A forge in memory: all of bot.forges.protocol.Forge, with every write kept and failures on demand."""

from __future__ import annotations

import hashlib
import time
from collections import Counter

from msgspec.structs import replace

from bot.forges.protocol import (
    Change,
    Comparison,
    GitAccess,
    Home,
    LastChange,
    Membership,
    Protection,
    StatusState,
    Visibility,
)
from bot.model.errors import GatewrightError
from bot.model.event import AccountKind, Actor, Comment, ForgeKind, Issue, LabelEvent, Repo
from bot.model.manners import Manners
from bot.model.role import Role

REPO = Repo(ForgeKind.GITHUB, "github.example", 5, "pay/core")
ME = Actor(1, "gatewright", AccountKind.BOT)
MIRA = Actor(7, "mira")
TOM = Actor(8, "tom")
STRANGER = Actor(9, "stranger")
OTHER_BOT = Actor(10, "renovate", AccountKind.BOT)
LENA, OTTO = Actor(11, "lena"), Actor(12, "otto")
PEOPLE = (MIRA, TOM, LENA, OTTO)  # who may write
BASE = "b" * 40


class MemoryForge:
    """One repository; `failing` maps a method to the error it raises, `calls` counts what was asked."""

    def __init__(self) -> None:
        self.roles = {who.id: Role.WRITE for who in PEOPLE} | {STRANGER.id: Role.READ, OTHER_BOT.id: Role.ADMIN}
        self.issues: dict[int, Issue] = {}
        self.talk: dict[int, tuple[int, Comment]] = {}
        self.reactions: list[tuple[int, str]] = []
        self.statuses: list[tuple[str, StatusState]] = []
        self.changes: dict[int, Change] = {}
        self.bodies: dict[int, str] = {}
        self.heads: dict[str, str] = {"main": BASE}
        self.tokens: list[bool] = []
        self.unapproved: set[int] = set()  # accounts that took an approval back
        self.people = {who.id: who for who in (ME, *PEOPLE, STRANGER, OTHER_BOT)}
        self.labels: list[LabelEvent] = []
        self.groups: dict[str, dict[int, int]] = {}  # group -> account -> member since
        self.files: dict[str, bytes] = {}
        self.file_by = 0
        self.rewritten = False  # the default branch was force-pushed
        self.trees: dict[str, str] = {}
        self.visibility, self.owner = Visibility.PRIVATE, 77
        self.protected = Protection(is_enforced=False, why="nothing is required")
        self.merged: list[tuple[int, str]] = []
        self.released: list[tuple[int, str, str]] = []
        self.now_ms = lambda: time.time_ns() // 1_000_000
        self.failing: dict[str, GatewrightError] = {}
        self.calls: Counter[str] = Counter()
        self._last = 100

    # -- what people do

    def opens(self, number: int = 42, *labels: str, body: str = "Try again.") -> Issue:
        self.issues[number] = Issue(
            number, "Retry the payment client", body, TOM, labels or ("gatewright",), is_open=True, is_locked=False,
            updated_ms=1,
        )  # fmt: skip
        self.labels = [LabelEvent("gatewright", TOM, self.now_ms() - 1_000, is_set=True)]
        return self.issues[number]

    def says(self, who: Actor, body: str, number: int = 42, *, ago_ms: int = 0) -> Comment:
        now = self.now_ms() - ago_ms
        made = Comment(self._next(), who, body, now, now)
        self.talk[made.id] = (number, made)
        return made

    def edits(self, comment: Comment, body: str) -> None:
        number, was = self.talk[comment.id]
        self.talk[comment.id] = (number, replace(was, body=body, updated_ms=was.updated_ms + 90_000))

    def pushes(self, branch: str, head: str) -> None:
        self.heads[branch] = head

    # -- what is to be seen

    def said(self, mark: str) -> list[Comment]:
        return [comment for _, comment in self.talk.values() if mark in comment.body]

    # -- the protocol

    manners = Manners()

    def learn(self, repo: Repo, installation: int) -> None:
        pass

    async def me(self) -> Actor:
        self._asked("me")
        return ME

    async def home(self, repo: Repo) -> Home:
        self._asked("home")
        return Home(repo, "main", "https://github.example/pay/core.git", self.visibility, self.owner)

    async def lookup(self, near: Repo, path: str) -> Repo | None:
        self._asked("lookup")
        return REPO if path == REPO.path else None

    async def label_events(self, repo: Repo, number: int) -> tuple[LabelEvent, ...]:
        self._asked("label_events")
        return tuple(self.labels)

    async def comments(self, repo: Repo, number: int, since_ms: int, *, on_change: bool = False) -> tuple[Comment, ...]:
        self._asked("comments")
        found = (c for where, c in self.talk.values() if where == number and c.created_ms >= since_ms)
        return tuple(sorted(found, key=lambda c: c.created_ms))

    async def membership(self, repo: Repo, group: str, actor: Actor) -> Membership | None:
        self._asked("membership")
        members = self.groups.get(group, {})
        return Membership(members[actor.id]) if actor.id in members else None

    async def compare(self, repo: Repo, base: str, head: str) -> Comparison:
        self._asked("compare")
        return Comparison(not self.rewritten, ("pay/client.py",))

    async def tree(self, repo: Repo, commit: str) -> str:
        self._asked("tree")
        return self.trees.get(commit, commit)

    async def last_change(self, repo: Repo, path: str, ref: str) -> LastChange | None:
        self._asked("last_change")
        return LastChange("f" * 40, self.file_by) if path in self.files else None

    async def protection(self, repo: Repo, branch: str, context: str) -> Protection:
        self._asked("protection")
        return self.protected

    async def merge(self, repo: Repo, number: int, head: str) -> None:
        self._asked("merge")
        assert self.heads[self.changes[number].branch] == head
        self.merged.append((number, head))
        self.changes[number] = replace(self.changes[number], is_open=False, is_merged=True)

    async def release_ci(self, repo: Repo, number: int, branch: str, commit: str) -> None:
        self._asked("release_ci")
        self.released.append((number, branch, commit))

    async def head(self, repo: Repo, branch: str) -> str:
        self._asked("head")
        return self.heads[branch]

    async def file(self, repo: Repo, path: str, commit: str) -> bytes | None:
        self._asked("file")
        return self.files.get(path)

    async def issue(self, repo: Repo, number: int) -> Issue | None:
        self._asked("issue")
        return self.issues.get(number)

    async def role(self, repo: Repo, actor: Actor) -> Role:
        self._asked("role")
        return self.roles.get(actor.id, Role.NONE)

    async def account(self, repo: Repo, actor: Actor) -> Actor:
        self._asked("account")
        return self.people.get(actor.id, actor)

    async def comment(self, repo: Repo, number: int, body: str, *, answering: int = 0, on_change: bool = False) -> int:
        self._asked("comment")
        return self.says(ME, body, number).id

    async def edit_comment(self, repo: Repo, number: int, comment: int, body: str) -> None:
        self._asked("edit_comment")
        if comment not in self.talk:
            raise GatewrightError("GW-FORGE-NOT-FOUND", "there is no such comment")
        self.edits(self.talk[comment][1], body)

    async def get_comment(self, repo: Repo, number: int, comment: int) -> Comment | None:
        self._asked("get_comment")
        held = self.talk.get(comment)
        return held[1] if held else None

    async def find_comment(
        self, repo: Repo, number: int, marker: str, *, answering: int = 0, on_change: bool = False
    ) -> int | None:
        self._asked("find_comment")
        found = (c.id for where, c in self.talk.values() if where == number and c.author == ME and marker in c.body)
        return next(found, None)

    async def react(self, repo: Repo, number: int, comment: int, reaction: str) -> None:
        self._asked("react")
        self.reactions.append((comment, reaction))

    async def set_status(self, repo: Repo, commit: str, state: StatusState, context: str, text: str) -> None:
        self._asked("set_status")
        self.statuses.append((commit, state))

    async def open_change(self, repo: Repo, *, branch: str, base: str, title: str, body: str, draft: bool) -> Change:
        self._asked("open_change")
        number = self._next()
        self.changes[number] = Change(number, "", self.heads[branch], branch, True, False, draft, repo.id)
        self.bodies[number] = body
        return self.changes[number]

    async def find_change(self, repo: Repo, branch: str) -> Change | None:
        self._asked("find_change")
        return next((c for c in reversed(self.changes.values()) if c.branch == branch), None)

    async def get_change(self, repo: Repo, number: int) -> Change | None:
        self._asked("get_change")
        held = self.changes.get(number)
        return replace(held, head=self.heads[held.branch]) if held else None

    async def approves(self, repo: Repo, number: int, actor: Actor) -> bool:
        self._asked("approves")
        return actor.id not in self.unapproved

    async def edit_change(self, repo: Repo, number: int, *, body: str) -> None:
        self._asked("edit_change")
        self.bodies[number] = body

    async def close_change(self, repo: Repo, number: int) -> None:
        self._asked("close_change")
        self.changes[number] = replace(self.changes[number], is_open=False)

    async def git_access(self, repo: Repo, *, write: bool) -> GitAccess | None:
        self._asked("git_access")
        self.tokens.append(write)
        return GitAccess("x-access-token", f"ghs_{'write' if write else 'read'}", 1)

    async def close(self) -> None:
        pass

    def _asked(self, method: str) -> None:
        self.calls[method] += 1
        if error := self.failing.get(method):
            raise error

    def _next(self) -> int:
        self._last += 1
        return self._last


def commit(text: str) -> str:
    """Name a commit that is told apart by a word."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
