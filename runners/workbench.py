"""The tools of one attempt: worktree, jail, model, blobs and branch behind one face."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from bot.audit.blobs import Blobs
from bot.audit.layout import NOTHING, ROOT, evidence_files
from bot.audit.record import decode
from bot.audit.redact import redact
from bot.audit.source import source_digest
from bot.model.errors import GatewrightError
from bot.model.order import Order
from bot.model.state import Step
from runners import evidence, foreign, leaks, renewal
from runners.access import Access
from runners.agent import Agent, first_run, hired, is_recorded
from runners.gateway.budget import Purse
from runners.ground import WRITING
from runners.jails import Jails, choose
from runners.phases import protocol
from runners.phases.protocol import Beside, Change, Made
from runners.providers import protocol as providers
from runners.providers.protocol import Jail, Limits, Request, Result
from runners.quality.trace import Work
from runners.readback import read_back
from runners.scoping import report_files, scope_of, undecided
from runners.setup.setup import Setup
from runners.site import Site
from runners.stream import Recorder
from runners.workspace import hush
from runners.workspace.bundle import pack
from runners.workspace.git import Git, GitError
from runners.workspace.mirror import Mirror
from runners.workspace.patch import Patch, review
from runners.workspace.recorded import Commands
from runners.workspace.staging import compare
from runners.workspace.worktree import Commit, Worktree

DIFF: Final = 60_000  # characters of a diff that a model is shown
SPARE: Final = 30.0  # seconds by which a provider's own limit lies behind the phase's


class Workbench:
    """Everything a phase may do (phases.protocol.Bench), for one order."""

    def __init__(  # noqa: PLR0913 - an attempt stands on this much
        self,
        site: Site,
        order: Order,
        recorder: Recorder,
        access: Access,
        worktree: Worktree,
        *,
        mirror: Mirror,
        journal: tuple[bytes, ...],
        signed: Mapping[str, bytes] = NOTHING,
        purse: Purse | None = None,
    ) -> None:
        self.order = order
        self.recorder = recorder
        self.head = worktree.head
        self._site = site
        self._access = access
        self._worktree = worktree
        self._mirror = mirror
        self._git = Git(worktree.directory / "git")
        self._burden = renewal.Burden(self._git, order, worktree, mirror, site.secrets)
        self._journal, self._signed = journal, signed
        self._purse = purse
        self._clean_head = ""  # of which it is known that nothing unpushed below it holds a secret
        self._let_pass = ""  # source digest of what may be pushed
        self._source = ("", "")  # a head and its source digest
        self._blobs = Blobs(site.blobs)
        self._open = AsyncExitStack()
        self._agent: Agent | None = None
        self._jails: Jails | None = None
        self._patch: Patch | None = None
        self._runs: int | None = None
        self._sealed = False
        self._deadline = time.monotonic() + order.wall_seconds

    async def close(self) -> None:
        """Close the door and drop what was lent."""
        await self._open.aclose()

    def remaining(self) -> float:
        """Seconds left of the phase's wall clock."""
        return max(self._deadline - time.monotonic(), 0.0)

    def read(self, commitment: str) -> bytes:
        """Read a blob."""
        return self._blobs.get(commitment)

    def clean(self, content: bytes) -> bytes:
        """Cut secrets out as the recorder will."""
        return redact(content, self._site.secrets)[0]

    async def ask(
        self, prompt: str, *, access: providers.Access, schema: dict[str, Any] | None = None, jail: Jail | None = None
    ) -> Result:
        """Run the phase's model once."""
        phase = self.order.step.phase
        if phase is None:
            raise ValueError(f"{self.order.step} asks no model")
        agent = await self._hire()
        if self._runs is None:
            done = {work.step for work in await self.work()} - {0}
            self._runs = first_run(self.order, len(done))
        request = Request(
            phase=phase,
            model=agent.route.model,
            system=protocol.prompt("system.md", phase=phase.value, access=access.value),
            prompt=prompt,
            access=access,
            limits=Limits(wall_seconds=self.remaining() + SPARE, turns=self.order.turns),
            schema=schema,
            run_index=self._runs,
        )
        self._runs += 1
        if jail is None:
            jail = await (await self._jail()).over(self._worktree.path, is_set_up=self.order.step in WRITING)
        return await agent.ask(request, jail)

    async def changes(self) -> Change:
        """Stage and review what the agent did."""
        self._patch = await self._worktree.changes()
        findings = tuple(f"`{finding.path}` {finding.what}".lstrip("` ") for finding in review(self._patch))
        added = await self._burden.added(self._patch.tree)
        findings += tuple(f"{leak} looks like a secret: take it out" for leak in added)
        return Change(tuple(change.path for change in self._patch.files), findings)

    async def commit(self, subject: str, body: str, *, step: int, label: str) -> Made:
        """Commit what `changes` has staged, announced before and named after."""
        patch = self._patch or await self._worktree.changes()
        parent = self.head
        entries = await self._worktree.source_entries(patch.tree)
        source = source_digest(entries)
        self.recorder.record("commit.intent", {"tree": patch.tree, "source_sha256": source, "step": step})
        commit = await self._worktree.commit(self._message(subject, body), trailers=self._trailers(label))
        if commit is None:
            raise GatewrightError("GW-COMMIT-EMPTY", "the change vanished between review and commit", fix="`retry`")
        digests = {path: sha256 for path, _, sha256 in entries}
        await report_files(self.recorder, self._git, patch, parent, digests)
        return self._made(commit, source, step)

    async def reset(self) -> None:
        """Throw away what is not committed."""
        await self._worktree.reset(self.head)

    async def salvage(self) -> None:
        """Keep what an attempt leaves that did not come to its end: commit what may be committed, and deliver."""
        change = await self.changes()
        if change.files and not change.findings:
            await self.commit("Keep unfinished work", "", step=0, label="unfinished")
        if self.head != (self.order.head or self.order.base_commit):
            await self.deliver()

    async def examine(self) -> None:
        """Refuse to build on commits of people that hold what none of ours may hold."""
        if self.head != self.order.base_commit:
            await foreign.examine(
                self._git, self.order.task, self.order.base_commit, self.head, journal=self._journal,
                upstream=await self._mirror.head(self.order.base_branch) or "",
            )  # fmt: skip

    async def deliver(self) -> bool:
        """Push the branch, or keep back what people have to decide on first; answer whether it is on the forge."""
        if self.order.step in WRITING:
            await self.unburden()
        is_there = await self._is_there()
        is_decided = await self._judged()
        await self._keep_secrets()
        if not is_decided:
            if not is_there:  # a person's push cannot be kept back any more
                await self._hold()
            return False
        if not is_there or self.order.held_blob or self.order.step in WRITING:
            await self.push()
        return True

    async def push(self) -> None:
        """Push the branch, as long as this attempt is the current one and nothing waits for people."""
        if self._let_pass != await self.source() and not await self._judged():
            raise undecided()
        await self._keep_secrets()
        if hush.is_wanted(self.order) and not await self._is_there():
            await hush.require(self._git, self.head)
        await self.recorder.check()
        ref = f"refs/heads/{self.order.branch}"
        access = await self._access.get(write=True)
        await self._worktree.push(self.order.clone_url, access, f"{self.head}:{ref}", *hush.options(self.order))
        size = len(self._journal) if self._sealed else 0
        self.recorder.record("pushed", {"ref": ref, "commit": self.head, "size": size})

    async def _hold(self) -> None:
        bundle = await pack(self._git, self.order.base_commit)
        data = {"commit": self.head, "source_sha256": await self.source()}
        stored = {"bundle": (await asyncio.to_thread(self._blobs.put, bundle), len(bundle))}
        self.recorder.record("work.held", data, stored=stored)
        await self._worktree.secure(self.head)

    async def _keep_secrets(self) -> None:
        """Raise GW-SECRET-FOUND where a commit that is not on the forge yet holds a secret; the work is held."""
        if self._clean_head == self.head or await self._is_there():
            return
        if found := await self._burden.pushing():
            if self.order.step in WRITING:
                await self._hold()
            raise leaks.refused(found, self.order.policy)
        self._clean_head = self.head

    async def secrets(self) -> tuple[str, ...]:
        """Say which secrets stand in files that are not on the forge yet."""
        return tuple(map(str, await self._burden.added(self.head)))

    async def unburden(self) -> bool:
        """Make the commits that are on no forge anew as one, where a secret is in their history alone."""
        if self._clean_head == self.head or await self._is_there() or not await self._burden.is_in_history():
            return False
        source = await self.source()
        made = await self._burden.fold(self.recorder, source, message=self._message, trailers=self._trailers)
        self._made(made, source, 0)
        return True

    async def _judged(self) -> bool:
        """Look for what the plan did not say; True where there is none of it, or people have let it pass."""
        source = await self.source()
        found = await scope_of(self._git, self._blobs, self.order, self.head, self.clean, await self._burden.exempt())
        stored = {"findings": (await asyncio.to_thread(self._blobs.put, found.content), len(found.content))}
        data = found.data | {"commit": self.head, "source_sha256": source}
        if self.order.step is not Step.PUBLISH:  # there it only has to be as it was decided
            self.recorder.record("scope.found", data, stored=stored)
        self._let_pass = source if found.is_let_pass else ""
        return found.is_let_pass

    async def _is_there(self) -> bool:
        return self._worktree.tip == self.head

    async def work(self) -> tuple[Work, ...]:
        """Read the steps out of the trailers of our own commits."""
        return await evidence.work(self._git, self.order, self.head)

    @asynccontextmanager
    async def checkout(self, *, has_door: bool) -> AsyncIterator[Jail]:
        """Open a jail over a fresh tree of the head, with a way to the model or without."""
        jails = await self._jail()
        async with jails.fresh(self._worktree, self.head, has_door=has_door) as jail:
            yield jail

    async def source(self) -> str:
        """Compute the source digest of the head, once for each head: every content is read for it."""
        if self._source[0] != self.head:
            self._source = (self.head, source_digest(await self._worktree.source_entries(self.head)))
        return self._source[1]

    @property
    def beside(self) -> tuple[Beside, ...]:
        """List the submodules and the files of Git LFS of the base commit."""
        return tuple(Beside(part.kind, part.path, part.why) for part in self._worktree.parts)

    async def base_paths(self) -> tuple[str, ...]:
        """List every path of the base commit."""
        raw = await self._git.run("ls-tree", "-r", "-z", "--name-only", self.order.base_commit)
        return tuple(name.decode("utf-8", "replace") for name in raw.split(b"\0") if name)

    async def base_file(self, path: str) -> bytes | None:
        """Read a file of the base commit."""
        return await self._worktree.read(self.order.base_commit, path)

    async def diff(self) -> str:
        """Show base..head whatever attributes the tree sets, bounded; evidence would fill it, and is no work."""
        patch = await compare(self._git, self.order.base_commit, self.head, [], without=ROOT)
        cut = (
            "\n[the rest of the diff was left out; read the files]" if len(patch.text) > DIFF or patch.truncated else ""
        )
        return self.clean(patch.text.encode("utf-8", "replace")).decode()[:DIFF] + cut

    async def seal(self) -> Made:
        """Commit the evidence on top of the head."""
        files = await self._files()
        message = self._message(f"Add the evidence of task {self.order.task}")
        commit = await self._worktree.write_files(files, self.head, message, self._trailers(evidence.LABEL))
        self._sealed = True
        return self._made(commit, await self.source(), 0)

    async def archive(self) -> None:
        """Push the evidence to the audit ref, or to a branch where the forge takes no such refs."""
        await self.recorder.check()
        files = await self._files()
        try:
            await self._archive(files, self.order.audit_ref)
        except GitError as error:
            if error.code != "GW-GIT-REJECTED" or self.order.audit_ref.startswith("refs/heads/"):
                raise
            await self._archive(files, f"refs/heads/gatewright-audit/{self.order.task}")

    async def _archive(self, files: Mapping[str, bytes], ref: str) -> None:
        url, task = self.order.clone_url, self.order.task
        access = await self._access.get(write=True)
        trailers = evidence.trailers(self.order)
        message = hush.hushed(f"Evidence of task {task}, {len(self._journal)} records")  # never for CI to look at
        commit = await self._worktree.archive(files, ref, url, access, message, trailers)
        if commit.commit != commit.parent:
            await self._worktree.push(url, access, f"{commit.commit}:{ref}")
        there, journal = commit.commit, ""
        if decode(self._journal[-1]).kind == "seal":  # nothing follows: Redis may forget what git is seen to hold
            there, journal = await read_back(self._worktree.directory, url, access, ref, task)
        data = {"ref": ref, "commit": there, "size": len(self._journal), "journal_sha256": journal}
        self.recorder.record("pushed", data)

    async def _files(self) -> dict[str, bytes]:
        work = await self.work() if self.order.head else ()
        documents = evidence.documents(self.order, self._blobs, work, self._journal)
        return evidence_files(self.order.task, self._journal, documents, self._signed)

    async def _hire(self) -> Agent:
        if self._agent is None:
            hiring = hired(self._site, self.order, self.recorder, self._purse)
            self._agent = await self._open.enter_async_context(hiring)
        return self._agent

    async def _jail(self) -> Jails:
        if self._jails is None:
            agent = await self._hire()
            recorded = is_recorded(agent.route)
            kind = await asyncio.to_thread(choose, self._site.settings, self.order, is_recorded=recorded)
            self.recorder.record("gate", {"rule": "sandbox", "result": kind})
            directory = self._site.work / "jails" / f"{self.order.task}-{self.order.attempt}"
            socket = None if recorded else agent.door.socket
            objects = self._mirror.objects
            commands = Commands(self.recorder, agent.door.number, self.clean)
            setup = Setup(
                self._site, self.order, self.recorder, self._worktree, objects, self.remaining, commands=commands
            )
            self._jails = Jails(
                self._site, kind, directory, objects, socket, setup=setup, recorder=self.recorder, commands=commands
            )
            self._open.push_async_callback(self._jails.close)
        return self._jails

    def _message(self, subject: str, body: str = "") -> str:
        message = self.clean(f"{subject}\n\n{body}".strip().encode("utf-8", "replace")).decode()
        return hush.hushed(message) if hush.is_wanted(self.order) else message

    def _trailers(self, label: str) -> dict[str, str]:
        return evidence.trailers(self.order, label, self._agent.model if self._agent else self.order.model)

    def _made(self, commit: Commit, source: str, step: int) -> Made:
        self.head = commit.commit
        self._patch = None
        data = {"commit": commit.commit, "tree": commit.tree, "parent": commit.parent, "source_sha256": source}
        self.recorder.record("commit.made", {**data, "step": step})
        return Made(commit.commit, source)
