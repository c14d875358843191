"""The policy in force for a repository: the server's, narrowed by the file that the repository's people keep."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from bot.audit import kinds
from bot.audit.chain import Draft
from bot.forges.protocol import Forge, Home
from bot.model.errors import GatewrightError
from bot.model.event import ForgeKind, Repo
from bot.model.policy import Policy
from bot.policy.narrow import Refusal, narrow
from bot.policy.presets import local
from bot.policy.repository import policy_table, whole
from bot.tasks.desk import Desk

LARGEST: Final = 12 * 1024  # bytes; a record has 16 KiB
FILE: Final = ".gatewright.toml"
UNREADABLE: Final = "GW-POLICY-FILE"  # nobody knows what the file meant to forbid


class Rulebook(msgspec.Struct, frozen=True):
    """What holds now, and where it comes from; `refused` are keys with which the file would have widened.

    `profile` is what the file says under that key, unread.
    """

    policy: Policy
    server_sha256: str
    file_sha256: str = ""
    file_commit: str = ""
    file_by: int = 0
    refused: tuple[Refusal, ...] = ()
    profile: Any = None

    def record(self) -> kinds.PolicyChanged:
        """Spell it for a journal."""
        return kinds.PolicyChanged(
            policy_sha256=self.policy.sha256(),
            policy=self.policy,
            server_sha256=self.server_sha256,
            file_sha256=self.file_sha256,
            file_commit=self.file_commit,
            file_by=self.file_by,
        )

    def draft(self, desk: Desk) -> Draft:
        """Make the record that puts it in force."""
        return Draft("policy.changed", self.record(), desk.service)


async def rulebook(desk: Desk, forge: Forge, home: Home) -> Rulebook:
    """Read the policy as it stands now; an unreadable file raises, because nobody knows what it meant to forbid."""
    server = desk.settings.policy
    if home.repo.forge is ForgeKind.LOCAL:
        return Rulebook(local(server), server.sha256())
    repo, branch = await _place(forge, home, server)
    content = await forge.file(repo, FILE, await forge.head(repo, branch))
    if content is None:
        return Rulebook(server, server.sha256())
    narrowed = narrow(server, policy_table(content))
    _check_size(narrowed.policy)
    last = await forge.last_change(repo, FILE, branch)
    for refused in narrowed.refused:
        desk.log.warning("policy.widening", repo=repo.path, key=refused.key, why=refused.why)
    return Rulebook(
        narrowed.policy,
        server.sha256(),
        hashlib.sha256(content).hexdigest(),
        last.commit if last else "",
        last.by if last else 0,
        narrowed.refused,
        whole(content).get("profile"),
    )


def _check_size(policy: Policy) -> None:
    """Refuse a policy that no record could hold: what stands in no journal binds nobody."""
    size = len(msgspec.json.encode(policy))
    if size > LARGEST:
        raise GatewrightError(
            UNREADABLE,
            "the policy is too large",
            why=f"{size} bytes with the server's; {LARGEST} are kept with each task",
            fix="name groups instead of people, and fewer paths",
        )


async def _place(forge: Forge, home: Home, server: Policy) -> tuple[Repo, str]:
    """Find whose file counts: the repository's own, or the one that the server pins for all."""
    if not server.file_project:
        return home.repo, home.default_branch
    pinned = await forge.lookup(home.repo, server.file_project)
    if pinned is None:
        raise GatewrightError(
            UNREADABLE,
            f"the policy file of {server.file_project} cannot be read",
            why="there is no such project, or the bot's account cannot see it",
            fix="give the bot read access, or correct policy.file_project",
        )
    return pinned, server.file_ref or (await forge.home(pinned)).default_branch
