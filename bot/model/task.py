"""A task: what was asked for, where it stands, and what it has cost."""

from __future__ import annotations

import re
import secrets
from typing import Final

import msgspec

from bot.model.event import Actor, Repo
from bot.model.gates import Approval, Artifact, Emergency, Glass, Passed, Request, Ruled, Scope, Void
from bot.model.policy import Policy
from bot.model.state import Gate, Phase, State, Step

CROCKFORD: Final = "0123456789abcdefghjkmnpqrstvwxyz"
TASK_ID: Final = re.compile(r"^(0|[1-9][0-9]{0,9})-[0-9a-hjkmnp-tv-z]{6}$")


def new_task_id(issue: int) -> str:
    """Make an id such as `42-k7f3qd`; the caller claims it instance-wide before use."""
    return f"{issue}-{''.join(secrets.choice(CROCKFORD) for _ in range(6))}"


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which model does which phase, as model strings."""

    spec: str = "sonnet"
    planning: str = "opus"
    coding: str = "sonnet"
    qa: str = "sonnet"
    qa_fixer: str = "sonnet"

    def model(self, phase: Phase) -> str:
        """Name the model string of a phase."""
        value: str = getattr(self, phase.value)
        return value


class Usage(msgspec.Struct, frozen=True):
    """What models were asked and what it cost; money is integer micro-USD, None where no price is known."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    micro_usd: int | None = 0

    @property
    def tokens(self) -> int:
        """Sum tokens in and out, as limits count them."""
        return self.tokens_in + self.tokens_out

    def __add__(self, other: Usage) -> Usage:
        cost = None if self.micro_usd is None or other.micro_usd is None else self.micro_usd + other.micro_usd
        return Usage(
            self.calls + other.calls, self.tokens_in + other.tokens_in, self.tokens_out + other.tokens_out, cost
        )

    def __sub__(self, other: Usage) -> Usage:
        cost = None if self.micro_usd is None or other.micro_usd is None else self.micro_usd - other.micro_usd
        return Usage(
            self.calls - other.calls, self.tokens_in - other.tokens_in, self.tokens_out - other.tokens_out, cost
        )


class Attempt(msgspec.Struct, frozen=True):
    """One numbered run of a step; `outcome` is empty while it runs."""

    number: int
    step: Step
    model: str
    started_ms: int
    round: int = 0
    ended_ms: int = 0
    outcome: str = ""
    code: str = ""  # GW-... where it failed
    usage: Usage = Usage()
    heard_ms: int = 0  # when its worker's first report was taken in
    dur_ms: int = 0  # as its worker measured it; 0 where it reported no end

    def worked(self, now_ms: int) -> int:
        """Count the milliseconds that a worker was at it; waiting in the queue is left out where that is known."""
        since = self.heard_ms or self.started_ms
        return min(self.dur_ms, self._span(self.started_ms, now_ms)) or self._span(since, now_ms)

    def _span(self, since_ms: int, now_ms: int) -> int:
        return max((self.ended_ms or now_ms) - since_ms, 0)


class Origin(msgspec.Struct, frozen=True):
    """What a task was opened on; never changes afterwards. `base_commit` is the first; Task has the present one."""

    task: str
    repo: Repo
    issue: int
    labeller: Actor
    base_branch: str
    base_commit: str
    policy_sha256: str
    installation: int = 0
    owner: int = 0
    visibility: str = ""
    author: int = 0


class Pull(msgspec.Struct, frozen=True):
    """The pull or merge request of a task."""

    number: int
    head: str
    branch: str
    draft: bool
    state: str  # open, merged, closed


class Verdict(msgspec.Struct, frozen=True):
    """What the last QA round found; the report itself is the blob `commitment`."""

    round: int
    commit: str
    source_sha256: str
    passed: bool
    criteria: int
    met: int
    commitment: str


class Heard(msgspec.Struct, frozen=True):
    """A command that was heard: `event_id` is `<issue or change>:<comment id>`, answers are blobs."""

    event_id: str
    verb: str
    accepted: bool
    actor: Actor
    code: str = ""
    answer: str = ""  # commitment of the refusal or reply, if words are needed


class Task(msgspec.Struct, frozen=True):
    """The fold of a task's journal: everything that is known, nothing that is guessed."""

    origin: Origin
    state: State
    profile: Profile
    size: int  # records in the journal
    opened_ms: int
    changed_ms: int
    issue_blob: str = ""  # commitment of the issue snapshot
    blocked_from: State | None = None
    blocked_code: str = ""
    blocked_blob: str = ""  # commitment of the explanation, if there is one
    lost: int = 0  # attempts in a row whose worker vanished
    paused: bool = False
    spec: Artifact | None = None
    plan: Artifact | None = None
    drafts: tuple[Artifact, ...] = ()  # every spec and plan there was, oldest first
    feedback: tuple[str, ...] = ()  # commitments of feedback that the next draft must take up
    requested: tuple[Request, ...] = ()
    approvals: tuple[Approval, ...] = ()  # in force; a withdrawn one is gone
    passed: tuple[Passed, ...] = ()  # gates that were let pass, and still are
    ruled: dict[str, Ruled] = {}  # gate -> its last ruling
    reask: tuple[Gate, ...] = ()  # gates that must be asked anew although their digest is the same
    policy: Policy = Policy()
    policy_sha256: str = ""
    policy_file: tuple[str, int] = ("", 0)  # commit that last changed the repository's policy file, and by whom
    base_commit: str = ""
    issue_sha256: str = ""
    is_outsider: bool = False  # the issue's author may not trigger
    writers: tuple[int, ...] = ()  # whose words entered the work
    committers: tuple[int, ...] = ()  # who pushed to the branch besides us; 0 is somebody unknown
    counted: dict[str, tuple[int, ...]] = {}  # gate -> whose yes let it pass last, whatever fell since
    shown: dict[str, str] = {}  # gate purpose -> SHA-256 of the comment that asks, as the forge gave it back
    shown_ms: dict[str, int] = {}  # gate purpose -> when that comment was written or rewritten
    scope: Scope | None = None
    scopes: int = 0  # how often scope findings were put together
    scope_approved: tuple[str, ...] = ()
    held: str = ""  # blob of work that was not pushed
    bound_head: str = ""  # the first head that had the present tree: what a change approval names
    brakes: tuple[str, ...] = ()  # who besides the task's own pause holds it: label, repository, instance
    emergencies: tuple[Emergency, ...] = ()
    glass: tuple[Glass, ...] = ()  # emergencies that let a gate pass, whatever fell since
    ci_released: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()
    is_unconfined: bool = False  # some attempt ran without a sandbox
    attempts: tuple[Attempt, ...] = ()
    rounds: int = 0  # QA rounds so far
    verdict: Verdict | None = None
    head: str = ""  # last commit of the work
    source_sha256: str = ""
    steps_done: int = 0
    steps_total: int = 0
    generation: int = 1  # 2 and up after `revise` with an open change: a new branch `...-2`
    branch: str = ""
    pull: Pull | None = None
    posted: dict[str, str] = {}  # purpose -> object id on the forge
    intents: tuple[str, ...] = ()  # purposes begun and not finished
    archived: int = 0  # records that the audit ref is known to hold
    close_reason: str = ""
    is_closed: bool = False  # the journal says that it has ended
    is_sealed: bool = False  # by its last record: nothing is appended any more
    heard: tuple[Heard, ...] = ()
    blocks: int = 0  # how often the task was blocked
    status_rev: int = 0  # how often the change gate has to be shown anew on a commit
    cause: str = ""  # what changed last of all that approvals bind
    voids: tuple[Void, ...] = ()  # approvals that fell, oldest first
    stale_pulls: tuple[int, ...] = ()  # changes of earlier generations
    steps: tuple[tuple[int, str], ...] = ()  # plan step -> commit

    @property
    def running(self) -> Attempt | None:
        """Name the attempt that has started and not ended."""
        return next((a for a in reversed(self.attempts) if not a.outcome), None)

    @property
    def usage(self) -> Usage:
        """Sum what all attempts used."""
        return sum((a.usage for a in self.attempts), Usage())

    def artifact(self, gate: Gate) -> Artifact | None:
        """Name the draft in force at a gate."""
        return {Gate.SPEC: self.spec, Gate.PLAN: self.plan}.get(gate)

    def draft(self, gate: Gate, rev: int) -> Artifact | None:
        """Name an earlier draft."""
        return next((d for d in self.drafts if d.gate is gate and d.rev == rev), None)

    def approval(self, gate: Gate) -> Approval | None:
        """Name the approval in force at a gate."""
        return next((a for a in reversed(self.approvals) if a.gate is gate), None)

    def votes(self, gate: Gate) -> tuple[Approval, ...]:
        """List the approvals in force at a gate."""
        return tuple(a for a in self.approvals if a.gate is gate)

    def let_pass(self, gate: Gate) -> Passed | None:
        """Name the ruling that let a gate pass, while it holds."""
        return next((p for p in reversed(self.passed) if p.gate is gate), None)

    @property
    def is_scope_decided(self) -> bool:
        """Tell whether no scope finding waits for people."""
        return self.scope is None or self.scope.count == 0 or self.scope.sha256 in self.scope_approved

    @property
    def unreviewed(self) -> tuple[Glass, ...]:
        """List the emergencies that let a gate pass and that nobody has reviewed."""
        return tuple(one for one in self.glass if not one.reviewer)

    @property
    def is_held(self) -> bool:
        """Tell whether somebody pulled a brake."""
        return self.paused or bool(self.brakes)

    @property
    def unmet(self) -> tuple[str, ...]:
        """Name the rules (bot.policy.rules) that keep a gate shut although what is asked now was approved."""
        gate = self.state.gate
        asked, ruled = (self.asked(gate), self.ruled.get(gate.value)) if gate else (None, None)
        is_present = asked is not None and ruled is not None and ruled.digest == asked.digest and bool(ruled.events)
        return ruled.missing if ruled is not None and is_present and not ruled.passed else ()

    def asked(self, gate: Gate) -> Request | None:
        """Name the newest request for approval at a gate."""
        return next((r for r in reversed(self.requested) if r.gate is gate), None)
