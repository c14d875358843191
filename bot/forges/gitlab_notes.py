"""Notes: where one is, how many there may be, and the door that each passes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from bot.forges import gitlab_text
from bot.forges.errors import FULL, INVALID, NOT_FOUND
from bot.forges.gitlab_shapes import Clock, Created, NoteShape, read
from bot.forges.gitlab_transport import Pace, Request, Transport
from bot.model.errors import GatewrightError
from bot.model.event import Comment, Repo

ISSUES: Final = "issues"
CHANGES: Final = "merge_requests"
EMOJI: Final = {"+1": "thumbsup", "-1": "thumbsdown"}
PAGE: Final = 100
PAGES: Final = 10  # newest ones searched for a marker
MOST_LISTED: Final = 1_000
MOST_NOTES: Final = 4_500  # GitLab takes 5,000 for one issue or merge request; the rest is for people
KNOWN_MOST: Final = 4_096  # places remembered

Place = tuple[int, str, int]  # project id, kind, number


class Counted(msgspec.Struct, frozen=True):
    """How many notes there are, without GitLab's own."""

    user_notes_count: int = 0


class Notes:
    """The notes of one GitLab; where the kind of place is not known, the id of a note in it tells."""

    def __init__(self, transport: Transport, pace: Pace, clock: Clock, bot_name: str) -> None:
        self._transport = transport
        self._pace = pace
        self._clock = clock
        self._bot_name = bot_name
        self._kinds: dict[int, str] = {}  # note id, which is one on the whole instance -> kind of its place

    async def post(self, repo: Repo, number: int, body: str, kind: str, answering: int) -> int:
        """Post a text, split where it is too long; return the id of the last note, which has the marker."""
        place = (repo.id, await self.kind(repo, number, kind, answering), number)
        parts = gitlab_text.notes(body, self._bot_name)
        await self._leave_room(place, len(parts))
        made = 0
        for part in parts:
            made = self._made(await self._ask("POST", _path(place), data={"body": part}, notifies=True))
            self._remember(made, place[1])
        return made

    async def edit(self, repo: Repo, number: int, note: int, body: str) -> None:
        """Replace a note of ours."""
        kind = await self.kind(repo, number, "", note)
        text = gitlab_text.one_note(body, self._bot_name)
        self._made(await self._ask("PUT", f"{_path((repo.id, kind, number))}/{note}", data={"body": text}))

    async def get(self, repo: Repo, number: int, note: int) -> Comment | None:
        """Read a note where it is, None where it is gone or GitLab's own."""
        known = self._kinds.get(note)
        kinds = (known,) if known else (ISSUES, CHANGES)
        found, kind = await self._look([f"{_path((repo.id, kind, number))}/{note}" for kind in kinds])
        if found is None:
            return None
        self._remember(note, kinds[kind])
        seen = read(NoteShape, found, "a note")
        return None if seen.system or seen.id != note else seen.comment(int(self._clock() * 1000))

    async def find(self, place: Place, marker: str, me: int) -> int | None:
        """Find our own note that holds a marker, newest first."""
        for page in range(1, PAGES + 1):
            query = {"sort": "desc", "order_by": "created_at", "per_page": PAGE, "page": page}
            try:
                data = await self._ask("GET", _path(place), query)
            except GatewrightError as error:
                if error.code == NOT_FOUND:
                    return None
                raise
            notes = read(tuple[NoteShape, ...], data, "notes")
            for seen in notes:
                if seen.author is not None and seen.author.id == me and marker in (seen.body or ""):
                    self._remember(seen.id, place[1])
                    return seen.id
            if len(notes) < PAGE:
                return None
        return None

    async def since(self, place: Place, since_ms: int) -> tuple[Comment, ...]:
        """List the first thousand notes that were written at or after a time; GitLab lists from either end only."""
        otherwise = int(self._clock() * 1000)
        query = {"activity_filter": "only_comments", "order_by": "created_at", "sort": "desc"}
        found: list[Comment] = []
        async for page in self._transport.pages(_path(place), query):
            seen = [note.comment(otherwise) for note in read(tuple[NoteShape, ...], page, "notes") if not note.system]
            found += [comment for comment in seen if comment.created_ms >= since_ms]
            if any(comment.created_ms < since_ms for comment in seen):
                break
        found.sort(key=lambda comment: (comment.created_ms, comment.id))
        for comment in found[:MOST_LISTED]:
            self._remember(comment.id, place[1])
        return tuple(found[:MOST_LISTED])

    async def react(self, repo: Repo, number: int, note: int, reaction: str) -> None:
        """Award an emoji; GitLab calls a second one `already been taken`, under 404."""
        kind = await self.kind(repo, number, "", note)
        path = f"{_path((repo.id, kind, number))}/{note}/award_emoji"
        try:
            await self._ask("POST", path, data={"name": EMOJI.get(reaction, reaction)})
        except GatewrightError as error:
            if "already been taken" not in error.why:
                raise

    async def patiently(self, path: str) -> Any | None:
        """Read what may be gone; an event can be faster than the object it tells of, so a 404 is asked again."""
        return (await self._look([path]))[0]

    async def _look(self, paths: list[str]) -> tuple[Any | None, int]:
        """Read the first of several addresses that shows something, and say which one."""
        for pause in (*self._pace.visible, None):
            for index, path in enumerate(paths):
                try:
                    return await self._ask("GET", path), index
                except GatewrightError as error:
                    if error.code != NOT_FOUND:
                        raise
            if pause is not None:
                await asyncio.sleep(pause)
        return None, 0

    async def kind(self, repo: Repo, number: int, known: str, note: int) -> str:
        """Tell whether a number is an issue's or a merge request's."""
        if known:
            return known
        if note and note not in self._kinds:
            await self.get(repo, number, note)
        return self._kinds.get(note, ISSUES)

    async def _leave_room(self, place: Place, wanted: int) -> None:
        """Keep below GitLab's limit, past which people could not write either."""
        there = read(Counted, await self._ask("GET", _path(place).removesuffix("/notes")), "a count").user_notes_count
        if there + wanted > MOST_NOTES:
            raise GatewrightError(
                FULL,
                f"there is no room for another note of ours on {place[1]}/{place[2]}",
                why=f"{there} notes are there, and GitLab takes 5,000",
                fix="go on in a new issue; the task's page and `gatewright tasks show` tell where it stands",
            )

    def _made(self, answer: Any) -> int:
        if not isinstance(answer, dict) or "id" not in answer:
            raise GatewrightError(
                INVALID,
                "GitLab took a text of ours for commands and kept no note",
                why=str(answer)[:300],
                fix="report this: no line of ours may be a quick action",
            )
        return read(Created, answer, "a note").id

    def _remember(self, note: int, kind: str) -> None:
        if len(self._kinds) >= KNOWN_MOST:
            self._kinds.clear()
        self._kinds[note] = kind

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        *,
        data: Mapping[str, Any] | None = None,
        notifies: bool = False,
    ) -> Any:
        return await self._transport.send(Request(method, path, query or {}, data, notifies))


def _path(place: Place) -> str:
    project, kind, number = place
    return f"/projects/{project}/{kind}/{number}/notes"
