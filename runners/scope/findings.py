"""All rules together, and the digest that people's leave is given to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from bot.model.evidence import Plan
from bot.model.policy import Policy
from runners.scope import checks, letters, places, shape
from runners.scope.ci import ci
from runners.scope.dependencies import new_dependency
from runners.scope.hosts import new_host
from runners.scope.secrets import Exemption, secret
from runners.scope.view import Finding, Rule, View

DOMAIN: Final = b"gatewright/scope/v1\n"
MOST: Final = 500  # findings that are listed one by one


def findings(view: View, plan: Plan, policy: Policy, exempt: Sequence[Exemption] = ()) -> tuple[Finding, ...]:
    """Look at a change by every rule; sorted, and bounded in number without losing what the digest binds."""
    found = [
        *places.outside_plan(view, plan),
        *places.protected_path(view, policy),
        *ci(view),
        *places.submodules(view),
        *places.hooks(view),
        *places.build_entry(view),
        *places.container(view),
        *places.agents(view),
        *new_dependency(view),
        *new_host(view),
        *shape.mode(view),
        *checks.tests_deleted(view),
        *checks.tests_weakened(view),
        *shape.size(view, policy),
        *secret(view, exempt),
        *shape.unreadable(view),
        *letters.mixed_script(view),
        *letters.bidi(view),
    ]
    ordered = sorted(found, key=_key)
    if len(ordered) <= MOST:
        return tuple(ordered)
    kept, rest = ordered[: MOST - 1], ordered[MOST - 1 :]
    return (*kept, Finding(Rule.MORE, "", f"{len(rest)} more findings", digest(rest)))


def digest(found: Iterable[Finding]) -> str:
    """Hash findings whatever their order; 64 hex digits."""
    body = msgspec.json.encode(sorted(found, key=_key), order="sorted")
    return hashlib.sha256(DOMAIN + body).hexdigest()


def _key(finding: Finding) -> tuple[bool, int, str, str, str]:
    order = list(Rule).index(finding.rule)
    return finding.rule is Rule.MORE, order, finding.path, finding.detail, finding.sha256
