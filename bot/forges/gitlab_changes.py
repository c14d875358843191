"""Merge requests and what hangs on them: statuses, approvals, merging, and the CI of their commits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from bot.forges import gitlab_text
from bot.forges.errors import AUTH, INVALID, MERGE
from bot.forges.gitlab_history import COMMIT, History
from bot.forges.gitlab_notes import CHANGES
from bot.forges.gitlab_shapes import Approvals, Id, MergeRequestShape, Sha, StatusShape, read
from bot.forges.gitlab_transport import Request, Transport
from bot.forges.protocol import Change, StatusState
from bot.model.errors import GatewrightError
from bot.model.event import Actor, Repo

STATES: Final = {StatusState.PENDING: "pending", StatusState.SUCCESS: "success", StatusState.FAILURE: "failed"}


class PipelineShape(msgspec.Struct, frozen=True):
    """A pipeline; of merged results, `sha` is a commit that GitLab made for it."""

    id: Id
    sha: Sha


class Changes:
    """The merge requests of one GitLab."""

    def __init__(
        self,
        transport: Transport,
        history: History,
        bot_name: str,
        me: Callable[[], Awaitable[Actor]],
        patiently: Callable[[str], Awaitable[Any | None]],
    ) -> None:
        self._transport = transport
        self._history = history
        self._bot_name = bot_name
        self._me = me
        self._patiently = patiently

    async def set_status(self, repo: Repo, commit: str, state: StatusState, context: str, text: str) -> None:
        """Set an external commit status; setting the state it is in again is refused by GitLab, and is no fault."""
        asked = {"state": STATES[state], "name": context, "description": gitlab_text.status_text(text)}
        try:
            await self._ask("POST", f"/projects/{repo.id}/statuses/{commit}", data=asked)
        except GatewrightError as error:
            if error.code != INVALID or "transition" not in error.why or not await self._stands(repo, commit, asked):
                raise

    async def _stands(self, repo: Repo, commit: str, asked: Mapping[str, str]) -> bool:
        where = f"/projects/{repo.id}/repository/commits/{commit}/statuses"
        data = await self._ask("GET", where, {"name": asked["name"]})
        return any(seen.status == asked["state"] for seen in read(tuple[StatusShape, ...], data, "statuses"))

    async def open(self, repo: Repo, branch: str, base: str, title: str, body: str) -> Change:
        """Open a merge request from a branch of the same project; the title says whether it is a draft."""
        asked = {
            "source_branch": branch,
            "target_branch": base,
            "title": title,
            "description": gitlab_text.description(body, self._bot_name),
        }
        data = await self._ask("POST", f"/projects/{repo.id}/{CHANGES}", data=asked, notifies=True)
        return await self._change(repo, read(MergeRequestShape, data, "a merge request"))

    async def find(self, repo: Repo, branch: str) -> Change | None:
        """Find the newest merge request that we opened from a branch of this very project."""
        me = await self._me()
        query = {"source_branch": branch, "state": "all", "order_by": "created_at", "sort": "desc", "per_page": 100}
        data = await self._ask("GET", f"/projects/{repo.id}/{CHANGES}", query)
        for seen in read(tuple[MergeRequestShape, ...], data, "merge requests"):
            from_here = seen.source_branch == branch and seen.source_project_id in (None, repo.id)
            if from_here and seen.author is not None and seen.author.id == me.id:
                return await self._change(repo, seen)
        return None

    async def get(self, repo: Repo, number: int) -> Change | None:
        """Read one merge request."""
        found = await self._patiently(_place(repo, number))
        return None if found is None else await self._change(repo, read(MergeRequestShape, found, "a merge request"))

    async def approves(self, repo: Repo, number: int, actor: Actor) -> bool:
        """Ask who approves the merge request now; deliveries of approvals come late, twice and in any order."""
        data = await self._ask("GET", f"{_place(repo, number)}/approvals")
        return any(each.user.id == actor.id for each in read(Approvals, data, "approvals").approved_by)

    async def edit(self, repo: Repo, number: int, body: str) -> None:
        """Replace the description of a merge request."""
        text = gitlab_text.description(body, self._bot_name)
        await self._ask("PUT", _place(repo, number), data={"description": text})

    async def close(self, repo: Repo, number: int) -> None:
        """Close a merge request without merging it."""
        await self._ask("PUT", _place(repo, number), data={"state_event": "close"})

    async def merge(self, repo: Repo, number: int, head: str) -> None:
        """Merge at exactly one head; where the answer was lost, what is merged at that head already is no fault."""
        if not COMMIT.fullmatch(head):  # GitLab takes an empty one for whatever is there
            raise _unmerged(number, "no commit was named")
        try:
            data = await self._ask("PUT", f"{_place(repo, number)}/merge", data={"sha": head})
        except GatewrightError as error:
            # 401 is how GitLab says that an account may not merge into this branch; 405, 406, 409, 422: not now.
            if error.code not in (INVALID, AUTH):
                raise
            now = await self._read(repo, number)
            if now.state == "merged" and now.sha == head:
                return
            raise _unmerged(number, error.why) from error
        done = read(MergeRequestShape, data, "a merge request")
        if done.state != "merged":
            raise _unmerged(number, done.merge_error or done.detailed_merge_status or f"it is still {done.state}")

    async def release_ci(self, repo: Repo, number: int, branch: str, commit: str) -> None:
        """Start the pipeline of a merge request, or of its branch where it has none; raise where the head moved."""
        if not number:
            await self._run_branch(repo, branch, commit)
            return
        now = await self._read(repo, number)
        if now.sha != commit or now.source_branch != branch or now.source_project_id not in (None, repo.id):
            raise _moved(commit)
        try:
            made = await self._start(repo, f"{_place(repo, number)}/pipelines", {})
        except GatewrightError as error:
            if error.code != INVALID:  # 400 and 405: nothing in it is meant for merge requests
                raise
            await self._run_branch(repo, branch, commit)
            return
        # Of merged results GitLab names a commit of its own; then only the head tells of what it was made.
        if made.sha != commit and (await self._read(repo, number)).sha != commit:
            await self._stop(repo, made)
            raise _moved(commit)

    async def _run_branch(self, repo: Repo, branch: str, commit: str) -> None:
        """Start a branch's pipeline, which is of its head, whatever that is by then."""
        if await self._history.head(repo, branch) != commit:
            raise _moved(commit)
        made = await self._start(repo, f"/projects/{repo.id}/pipeline", {"ref": branch})
        if made.sha != commit:
            await self._stop(repo, made)
            raise _moved(commit)

    async def _start(self, repo: Repo, path: str, asked: Mapping[str, str]) -> PipelineShape:
        return read(PipelineShape, await self._ask("POST", path, data=asked), "a pipeline")

    async def _stop(self, repo: Repo, pipeline: PipelineShape) -> None:
        await self._ask("POST", f"/projects/{repo.id}/pipelines/{pipeline.id}/cancel")

    async def _read(self, repo: Repo, number: int) -> MergeRequestShape:
        return read(MergeRequestShape, await self._ask("GET", _place(repo, number)), "a merge request")

    async def _change(self, repo: Repo, seen: MergeRequestShape) -> Change:
        # GitLab computes the head after it has answered.
        head = seen.sha or await self._history.head(repo, seen.source_branch)
        return Change(
            number=seen.iid,
            url=seen.web_url or "",
            head=head,
            branch=seen.source_branch,
            is_open=seen.state in ("opened", "locked"),  # locked: it is being merged at this moment
            is_merged=seen.state == "merged",
            is_draft=bool(seen.draft or seen.work_in_progress),
            source=seen.source_project_id or 0,
        )

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


def _place(repo: Repo, number: int) -> str:
    return f"/projects/{repo.id}/{CHANGES}/{number}"


def _unmerged(number: int, why: str) -> GatewrightError:
    fix = "mend what GitLab names, then approve again; the bot's account has to be allowed to merge into the branch"
    return GatewrightError(MERGE, f"merge request !{number} is not merged", why=why, fix=fix)


def _moved(commit: str) -> GatewrightError:
    why = "the branch has another head by now, and GitLab starts pipelines for heads only"
    return GatewrightError(INVALID, f"no CI was started for {commit[:12]}", why=why, fix="name the present commit")
