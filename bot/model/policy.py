"""The policy: who may let what pass, and what exactly is asked of them; one table, digested into every approval."""

from __future__ import annotations

import hashlib
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from bot.model.section import Section

DOMAIN: Final = b"gatewright/policy/v1\n"

DecidingRole = Literal["write", "maintain", "admin"]
# What a person can have done before, by which four eyes are told apart: `writer` said an `edit`, `revise` or `fix`
# that entered the work, `committer` pushed to the branch.
Part = Literal["labeller", "author", "writer", "committer", "spec", "plan", "change", "scope"]
Approver = Annotated[
    str, Meta(pattern=r"^(@[A-Za-z0-9][A-Za-z0-9._-]*|user:[1-9][0-9]*|group:[1-9][0-9]*|owners)\Z", max_length=120)
]

PROTECTED: Final = (
    ".github/**",
    ".gitlab-ci.yml",
    ".gitlab/**",
    ".circleci/**",
    "azure-pipelines.yml",
    "Jenkinsfile",
    "**/CODEOWNERS",
    ".gatewright.toml",
    ".gatewright/**",
    "**/package-lock.json",
    "**/pnpm-lock.yaml",
    "**/yarn.lock",
    "**/poetry.lock",
    "**/uv.lock",
    "**/Cargo.lock",
    "**/go.sum",
    "**/Gemfile.lock",
    "**/composer.lock",
)


class GateRule(Section, frozen=True):
    """Who lets one gate pass."""

    approvers: Annotated[
        tuple[Approver, ...],
        Meta(description='Who may approve: "@login", "user:ID", "group:ID", "owners"; empty: whoever has `min_role`'),
    ] = ()
    quorum: Annotated[int, Meta(ge=1, le=20, description="Different people who have to approve")] = 1
    min_role: Annotated[DecidingRole, Meta(description="Weakest role of an approver")] = "write"
    not_by: Annotated[
        tuple[Part, ...], Meta(description="Four eyes: who has played one of these parts may not approve here")
    ] = ()


class BreakGlass(Section, frozen=True):
    """Passing a gate in an emergency, by two people and for the record."""

    people: Annotated[
        tuple[Approver, ...], Meta(description="Who may break the glass, two of them together; empty: nobody")
    ] = ()
    review_days: Annotated[int, Meta(ge=1, le=90, description="Days until it has to be reviewed")] = 7


class Delegation(Section, frozen=True):
    """One person stands in for another for a time; for four eyes both count as one."""

    person: Annotated[int, Meta(ge=1, description="Numeric id of who is away")]
    to: Annotated[int, Meta(ge=1, description="Numeric id of who stands in")]
    since: Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\d\Z", description="First day, UTC")]
    until: Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\d\Z", description="Last day, UTC")]


class Policy(Section, frozen=True):
    """Who may decide what; `preset` fills in what is not set."""

    preset: Annotated[Literal["team", "regulated"], Meta(description="Where unset keys come from")] = "team"
    trigger_role: Annotated[DecidingRole, Meta(description="Weakest role that opens a task by setting the label")] = (
        "write"
    )
    min_role: Annotated[DecidingRole, Meta(description="Weakest role whose commands count")] = "write"
    verb_roles: Annotated[dict[str, DecidingRole], Meta(description="Stronger roles for single commands")] = {}
    spec: GateRule = GateRule()
    plan: GateRule = GateRule()
    scope: GateRule = GateRule()
    change: GateRule = GateRule(not_by=("committer",))
    digest: Annotated[Literal["optional", "required"], Meta(description="Whether `approve` has to name the digest")] = (
        "optional"
    )
    base: Annotated[
        Literal["ancestor", "equal"],
        Meta(description="At the spec and plan gate the default branch may have moved on, or not at all"),
    ] = "ancestor"
    gate_days: Annotated[int, Meta(ge=1, le=365, description="Days a gate stays open and an approval counts")] = 14
    late_minutes: Annotated[
        int, Meta(ge=1, le=1440, description="Commands older than this when they are found are asked for again")
    ] = 15
    native_approval: Annotated[
        Literal["counts", "proven", "ignored"],
        Meta(description="Reviews and native approvals: count, count where the forge proves the commit, or never do"),
    ] = "counts"
    approver_ids: Annotated[
        bool, Meta(description="Approvers have to be named, and by numeric id, group or code owners, not by login")
    ] = False
    membership_days: Annotated[
        int, Meta(ge=0, le=365, description="Days an approver has to have been a member of the group that is named")
    ] = 0
    outsiders: Annotated[
        Literal["fence", "refuse"],
        Meta(description="Issues by people who may not trigger: given to models as untrusted, or refused"),
    ] = "fence"
    confidential_issues: Annotated[
        Literal["refuse", "where_private"],
        Meta(description="Confidential issues: never, or where code and evidence are as private as they are"),
    ] = "refuse"
    branch_titles: Annotated[bool, Meta(description="Branch names hold words of the issue's title")] = True
    merge: Annotated[
        Literal["never", "on_approval"], Meta(description="Whether the bot merges what the change gate let pass")
    ] = "never"
    ci: Annotated[
        Literal["run", "hold"], Meta(description="Pushes start CI, or a person releases each commit with `ci`")
    ] = "run"
    target_branch: Annotated[
        Literal["advisory", "enforced"],
        Meta(description="The change gate is a status, or the forge has to hold merges to it"),
    ] = "advisory"
    protected_paths: Annotated[tuple[str, ...], Meta(description="Globs of paths whose change is a scope finding")] = (
        PROTECTED
    )
    exemptions: Annotated[
        Literal["count", "ignored"],
        Meta(description="Whether `[secrets] allow` of a repository's `.gatewright.toml` lets anything pass"),
    ] = "count"
    max_diff_lines: Annotated[int, Meta(ge=1, description="Changed lines beyond which size is a finding")] = 2_000
    max_diff_files: Annotated[int, Meta(ge=1, description="Changed files beyond which size is a finding")] = 100
    max_open_changes: Annotated[int, Meta(ge=1, description="Open changes by the bot in one repository")] = 10
    allowed_models: Annotated[
        tuple[str, ...], Meta(description="Globs of model strings that may be used; empty: all that are configured")
    ] = ()
    require_tier: Annotated[
        Literal["", "enterprise-certified"], Meta(description="Tier that every model's provider has to have")
    ] = ""
    residency: Annotated[
        tuple[str, ...],
        Meta(description="Classes of `residency` that a model's provider has to be of; empty: wherever it is"),
    ] = ()
    fallbacks: Annotated[
        dict[str, tuple[str, ...]],
        Meta(description="Model string -> what stands in where it is limited or away; never of another residency"),
    ] = {}
    freeze: Annotated[
        tuple[str, ...],
        Meta(description='Times without new code: "2026-12-20T00:00Z/2027-01-05T00:00Z" or "Fri 16:00/Mon 08:00 UTC"'),
    ] = ()
    emergency: BreakGlass = BreakGlass()
    delegations: tuple[Delegation, ...] = ()
    file_project: Annotated[
        str, Meta(description="Project path of the one policy file for all repositories; empty: each its own")
    ] = ""
    file_ref: Annotated[str, Meta(description="Protected branch of that policy file; empty: the default branch")] = ""

    def rule(self, gate: str) -> GateRule:
        """Name who lets a gate (bot.model.task.Gate) pass."""
        rule: GateRule = getattr(self, gate)
        return rule

    def sha256(self) -> str:
        """Hash the canonical JSON of the whole table under its own domain; 64 hex digits."""
        return hashlib.sha256(DOMAIN + msgspec.json.encode(self, order="sorted")).hexdigest()
