"""The closed list of record kinds and what each may hold.

Values are ints, bools, enums, ids, digests and repository paths; free text of any length is a blob. `attempt` stands in
all that an attempt reports. Money is integer micro-USD. A field with a default may be left out of the record.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from bot.model.policy import Policy
from bot.model.ruling import Case, Ruling

Sha = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Commit = Annotated[str, Meta(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})\Z")]
Short = Annotated[str, Meta(max_length=256)]
Whole = Annotated[int, Meta(gt=-(2**53), lt=2**53)]  # beyond it other JSON readers round
Count = Annotated[int, Meta(ge=0, lt=2**53)]


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of every kind's data."""


class TaskOpened(Data, frozen=True):
    """Say whose task this is: instance, repository, issue, base, policy; always record 0, and what genesis hashes."""

    repo: Short
    forge: Short
    host: Short
    repo_id: Count
    path: Short
    issue: Count
    labeller: Count
    base_branch: Short
    base_commit: Commit
    policy_sha256: Sha
    config_sha256: Sha
    bot_version: Short
    instance: Short
    vkey: Short
    data_class: Short = "standard"
    installation: Count = 0
    owner: Count = 0
    visibility: Short = ""
    author: Count = 0
    task_vkey: Short = ""  # signs the checkpoints of this journal; empty in journals of versions that signed none


class IssueSnapshot(Data, frozen=True):
    """Keep the issue as it read when the task was opened; the text is the ref `body`.

    `issue_sha256` is over title and body; `removed` counts hidden passages that no model is shown.
    """

    event_id: Short
    author_id: Count
    updated_ts: Count
    number: Count
    issue_sha256: Short = ""
    is_outsider: bool = False
    removed: Count = 0


class IssueChanged(Data, frozen=True):
    """Say that the issue reads otherwise now; its new text is not used, and what was approved before falls."""

    issue_sha256: Sha
    updated_ts: Count


class BaseMoved(Data, frozen=True):
    """Put another base commit in force, because policy asks that approvals are about the present one."""

    base_commit: Commit


class ShownEdited(Data, frozen=True):
    """Say that a comment of ours that asks at a gate was edited by somebody else; approvals given there fall."""

    what: Short
    rev: Count
    object_id: Short


class SpecSet(Data, frozen=True):
    """Put a draft of the spec in force, which voids earlier approvals; the exact bytes are the ref `text`."""

    spec_sha256: Sha
    rev: Count
    attempt: Count = 0
    source: Short = "model"


class PlanSet(Data, frozen=True):
    """Put a draft of the plan in force, which voids its earlier approvals; the exact bytes are the ref `text`."""

    plan_sha256: Sha
    rev: Count
    attempt: Count = 0
    source: Short = "model"


class ApprovalRequested(Data, frozen=True):
    """Show a gate digest to people; `source_sha256` and `head` stand at the change gate only."""

    what: Short
    digest: Sha
    rev: Count
    size: Count = 0
    root: Short = ""
    source_sha256: Short = ""
    head: Short = ""


class Approval(Data, frozen=True):
    """Say yes to exactly one requested gate digest; `event_id` names the comment, review or key press.

    `comment_sha256` is of the comment's text, which must read the same when a ruling is taken.
    """

    what: Short
    digest: Sha
    rev: Count
    event_id: Short
    forge_ts: Count
    permission: Short
    method: Short
    comment_sha256: Short = ""


class RulingMade(Data, frozen=True):
    """Decide at a gate, with everything the decision was taken on; `audit verify` takes it again from these values."""

    case: Case
    ruling: Ruling


class ApprovalWithdrawn(Data, frozen=True):
    """Take an approval back because what it bound has changed or its giver said so."""

    what: Short
    digest: Sha
    reason: Short
    event_id: Short = ""  # of the approval; empty for all at that gate


class Command(Data, frozen=True):
    """Note what a person asked for and whether it was done; the words themselves are refs."""

    verb: Short
    event_id: Short
    forge_ts: Count
    accepted: bool
    permission: Short = ""
    code: Short = ""
    phase: Short = ""
    model: Short = ""
    target: Short = ""  # what more than this task is meant: `repository`; of `model`, the profile that it names


class ProfileSet(Data, frozen=True):
    """Fix which model does which phase from here on; `name` is that of the profile they come from, if it has one."""

    spec: Short
    planning: Short
    coding: Short
    qa: Short
    qa_fixer: Short
    name: Short = ""


class AttemptStarted(Data, frozen=True):
    """Begin one numbered run of a step; `order_sha256` is over the signed order."""

    attempt: Count
    step: Short
    model: Short = ""
    round: Count = 0
    order_sha256: Short = ""


class AttemptEnded(Data, frozen=True):
    """End an attempt with what it used; nothing it reports later counts.

    `redacted` counts the secrets that were cut out of the blobs it reported.
    """

    attempt: Count
    step: Short
    code: Short = ""
    commit: Short = ""
    source_sha256: Short = ""
    calls: Count = 0
    tokens_in: Count = 0
    tokens_out: Count = 0
    micro_usd: Whole | None = 0
    dur_ms: Count = 0
    redacted: Count = 0


class ModelCall(Data, frozen=True):
    """Note a request to a model before it is sent; the prompt is a ref."""

    attempt: Count
    call: Count
    provider: Short
    model: Short
    params_sha256: Short = ""
    tools_sha256: Short = ""
    tokens_in: Count = 0


class ModelResult(Data, frozen=True):
    """Note how the model call of the same number ended; the output is a ref."""

    attempt: Count
    call: Count
    stop: Short = ""
    tokens_in: Count = 0
    tokens_out: Count = 0
    micro_usd: Whole | None = 0
    dur_ms: Count = 0
    status: Count = 0


class ToolCall(Data, frozen=True):
    """Note a tool the agent wants to use and what policy decided, before it runs."""

    attempt: Count
    call: Count
    tool: Short
    decision: Short = "allow"


class ToolResult(Data, frozen=True):
    """Note how the tool call of the same number ended."""

    attempt: Count
    call: Count
    exit: Whole | None = None
    dur_ms: Count = 0


class CommandRun(Data, frozen=True):
    """Note a program before it starts in the jail, and what it can reach: none, gateway, allowed, or open without jail.

    `argv_sha256` is of the ref `argv`, a JSON list, secrets cut out; `call` is a number among the attempt's calls.
    """

    attempt: Count
    call: Count
    argv_sha256: Sha
    net: Short


class FileChange(Data, frozen=True):
    """Note one path that an attempt changed, by digests of its content."""

    attempt: Count
    path: Short
    op: Short
    old_sha256: Short = ""
    new_sha256: Short = ""


class CommitIntent(Data, frozen=True):
    """Announce a commit before it is made, so that a crash leaves no nameless one."""

    attempt: Count
    tree: Commit
    source_sha256: Sha
    step: Count = 0


class CommitMade(Data, frozen=True):
    """Name a commit of the work and the source digest of its tree."""

    attempt: Count
    commit: Commit
    tree: Commit
    parent: Commit
    source_sha256: Sha
    step: Count = 0


class TestRun(Data, frozen=True):
    """Note one of the repository's own checks, re-run by the harness and judged by exit code."""

    attempt: Count
    suite: Short
    commit: Commit
    exit: Whole
    dur_ms: Count
    passed: Whole | None = None
    failed: Whole | None = None
    skipped: Whole | None = None


class QaVerdict(Data, frozen=True):
    """Note what one QA round found about exactly one commit; the report is the ref `report`."""

    attempt: Count
    round: Count
    commit: Commit
    source_sha256: Sha
    verdict: Short
    criteria: Count
    met: Count


class Progress(Data, frozen=True):
    """Count the steps of the plan that are done."""

    attempt: Count
    done: Count
    total: Count


class Pushed(Data, frozen=True):
    """Note a ref that was pushed and how many records the pushed evidence held.

    `journal_sha256` is of the journal as the worker read it back from the forge; of a sealed journal only.
    """

    attempt: Count
    ref: Short
    commit: Commit
    size: Count
    journal_sha256: Short = ""


class ScopeFinding(Data, frozen=True):
    """One thing in a change beyond its plan, or that policy protects; `sha256` is of the file's new content."""

    rule: Short
    path: Short
    detail: Short = ""
    sha256: Short = ""


class ScopeFound(Data, frozen=True):
    """Note what a change holds beyond its plan; the first findings stand here, all of them are the ref `findings`."""

    attempt: Count
    commit: Commit
    source_sha256: Sha
    scope_sha256: Sha
    count: Count
    findings: Annotated[tuple[ScopeFinding, ...], Meta(max_length=24)] = ()


class WorkHeld(Data, frozen=True):
    """Note work that is kept back from the forge until people decide; the git bundle is the ref `bundle`."""

    attempt: Count
    commit: Commit
    source_sha256: Sha


class CommitForeign(Data, frozen=True):
    """Note a commit on our branch that is not ours; `pusher` is 0 where the forge names nobody."""

    commit: Commit
    tree: Commit
    pusher: Count
    is_same_tree: bool = False


class CiReleased(Data, frozen=True):
    """Note that a person let CI run on a pushed commit."""

    commit: Commit
    event_id: Short


class Alarm(Data, frozen=True):
    """Say aloud that something happened around the gates that should not have."""

    code: Short
    commit: Short = ""


class GateResult(Data, frozen=True):
    """Note what a rule of policy decided."""

    rule: Short
    result: Short
    attempt: Count = 0


class ForgeIntent(Data, frozen=True):
    """Announce a write to the forge, so that a crash cannot make it twice."""

    purpose: Short
    rev: Count


class ForgeDone(Data, frozen=True):
    """Name the object that the announced write made."""

    purpose: Short
    rev: Count
    object_id: Short
    body_sha256: Short = ""


class Pull(Data, frozen=True):
    """Note where the pull or merge request stands."""

    number: Count
    head: Commit
    branch: Short
    draft: bool = False
    state: Short = "open"


class Pause(Data, frozen=True):
    """Note that work on the task stopped or went on at a person's word."""

    on: bool
    event_id: Short = ""
    scope: Short = "task"  # or label, repository, instance


class Anchor(Data, frozen=True):
    """Name a place outside this journal that holds the root of its first `size` records."""

    where: Short
    size: Count
    root: Short
    ref_id: Short


class PolicyChanged(Data, frozen=True):
    """Put a policy in force, whole: at the opening of a task, and whenever it reads otherwise.

    `file_commit` last changed the repository's policy file, by the account `file_by`; both empty without such a file.
    """

    policy_sha256: Sha
    policy: Policy
    server_sha256: Sha
    file_sha256: Short = ""
    file_commit: Short = ""
    file_by: Count = 0


class BlobRedacted(Data, frozen=True):
    """Say that a blob was deleted on purpose, and why."""

    target: Sha
    reason: Short


class JournalRecovered(Data, frozen=True):
    """Say that a journal was put back together: torn bytes were cut off its end, or records came back from git.

    `lacked` counts the records that Redis no longer had, `found` those that it still had.
    """

    torn_bytes: Count = 0
    torn_sha256: Short = ""
    lacked: Count = 0
    found: Count = 0


class ClockJump(Data, frozen=True):
    """Say that the clock of control was set."""

    delta_ms: Whole


class Emergency(Data, frozen=True):
    """Say that one of two named people broke the glass at a gate; the reason in words is the ref `reason`."""

    what: Short
    digest: Sha
    event_id: Short
    review_due_ts: Count


class EmergencyReviewed(Data, frozen=True):
    """Say that a person who did not break the glass has reviewed an emergency; their words are the ref `reason`."""

    what: Short
    digest: Sha
    event_id: Short
    forge_ts: Count


class TaskBlocked(Data, frozen=True):
    """Say that nothing goes on until a person looks."""

    code: Short
    attempt: Count = 0


class TaskClosed(Data, frozen=True):
    """End the task; only its delivery and its seal may follow."""

    state: Short
    reason: Short = ""


class Seal(Data, frozen=True):
    """Close the journal for good."""

    outcome: Short
    commit: Short
    source_sha256: Short
    blobs: Count
    redacted: Count


KINDS: Final[dict[str, type[Data]]] = {
    "task.opened": TaskOpened,
    "issue.snapshot": IssueSnapshot,
    "issue.changed": IssueChanged,
    "base.moved": BaseMoved,
    "shown.edited": ShownEdited,
    "spec.set": SpecSet,
    "plan.set": PlanSet,
    "approval.requested": ApprovalRequested,
    "approval": Approval,
    "approval.withdrawn": ApprovalWithdrawn,
    "ruling": RulingMade,
    "command": Command,
    "profile.set": ProfileSet,
    "attempt.started": AttemptStarted,
    "attempt.ended": AttemptEnded,
    "model.call": ModelCall,
    "model.result": ModelResult,
    "tool.call": ToolCall,
    "tool.result": ToolResult,
    "command.run": CommandRun,
    "file.change": FileChange,
    "commit.intent": CommitIntent,
    "commit.made": CommitMade,
    "test.run": TestRun,
    "qa.verdict": QaVerdict,
    "progress": Progress,
    "pushed": Pushed,
    "scope.found": ScopeFound,
    "work.held": WorkHeld,
    "commit.foreign": CommitForeign,
    "ci.released": CiReleased,
    "alarm": Alarm,
    "gate": GateResult,
    "forge.intent": ForgeIntent,
    "forge.done": ForgeDone,
    "pull": Pull,
    "pause": Pause,
    "anchor": Anchor,
    "policy.changed": PolicyChanged,
    "blob.redacted": BlobRedacted,
    "journal.recovered": JournalRecovered,
    "clock.jump": ClockJump,
    "emergency": Emergency,
    "emergency.reviewed": EmergencyReviewed,
    "task.blocked": TaskBlocked,
    "task.closed": TaskClosed,
    "seal": Seal,
}

WORKER_KINDS: Final = frozenset(
    {
        "spec.set", "plan.set", "attempt.ended", "model.call", "model.result", "tool.call", "tool.result",
        "command.run", "file.change", "commit.intent", "commit.made", "test.run", "qa.verdict", "progress", "pushed",
        "gate", "scope.found", "work.held",
    }
)  # fmt: skip
