"""Did what policy says outside of the gates hold: roles and age of commands, models, who wrote the issue?"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final

from bot.audit import kinds
from bot.audit.checks.gates import begin
from bot.audit.sheet import Entry, Sheet
from bot.model.command import Verb
from bot.model.policy import Policy
from bot.model.role import Role

READERS: Final = (Verb.STATUS.value, Verb.HELP.value)  # whoever may read may say these, at any time
SLACK_MS: Final = 60_000  # between the decision on a command and its record


def check(entries: Sequence[Entry], sheet: Sheet) -> None:
    """Hold commands, attempts and the issue to the policy in force."""
    standing = begin(entries)
    snapshot: Entry | None = None
    models: dict[int, str] = {}  # attempt -> the model that its order named
    for entry in entries:
        policy = standing.effective()
        match entry.data:
            case kinds.IssueSnapshot():
                snapshot = entry
            case kinds.PolicyChanged() if policy is None:
                _author(snapshot, entry.data.policy, sheet)
            case kinds.Command(accepted=True, verb=verb) if policy is not None and verb not in READERS:
                _command(entry, entry.data, policy, sheet)
            case kinds.AttemptStarted(model=model, attempt=number) if policy is not None and model:
                models[number] = model
                _model(entry, model, policy, sheet)
            case kinds.GateResult(rule="fallback", result=model, attempt=number) if policy is not None:
                _stand_in(entry, model, models.get(number, ""), policy, sheet)
        standing.take(entry)


def _model(entry: Entry, model: str, policy: Policy, sheet: Sheet) -> None:
    if policy.allowed_models and not any(fnmatchcase(model, glob) for glob in policy.allowed_models):
        what = "uses a model that policy does not allow"
        sheet.find("models", what, entry, expected=", ".join(policy.allowed_models), found=model)


def _stand_in(entry: Entry, model: str, ordered: str, policy: Policy, sheet: Sheet) -> None:
    """Hold a model that stood in to the policy; of its residency the journal knows nothing."""
    named = policy.fallbacks.get(ordered, ())
    if model not in named:
        what = "lets a model stand in that policy does not name for it"
        sheet.find("models", what, entry, expected=", ".join(named) or "none", found=model)
    _model(entry, model, policy, sheet)


def _author(snapshot: Entry | None, policy: Policy, sheet: Sheet) -> None:
    if snapshot is not None and getattr(snapshot.data, "is_outsider", False) and policy.outsiders == "refuse":
        sheet.find("roles", "the issue is by somebody from whom policy takes none", snapshot)


def _command(entry: Entry, data: kinds.Command, policy: Policy, sheet: Sheet) -> None:
    ranks = list(Role)
    wanted = max(Role(policy.min_role), Role(policy.verb_roles.get(data.verb, "write")), key=ranks.index)
    if data.permission not in ranks or ranks.index(Role(data.permission)) < ranks.index(wanted):
        what = f"`{data.verb}` was done for somebody whose role is too weak"
        sheet.find("roles", what, entry, expected=wanted.value, found=data.permission or "none")
    age_ms = entry.record.ts - data.forge_ts
    if age_ms > policy.late_minutes * 60_000 + SLACK_MS:
        what = f"`{data.verb}` was done although it had to be asked for again"
        sheet.find("roles", what, entry, expected=f"within {policy.late_minutes} min", found=f"{age_ms // 60_000} min")
