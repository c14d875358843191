"""Where each value of a policy comes from, and what its rules say at each gate of a task."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

import msgspec

from bot.model.policy import Policy
from bot.model.ruling import Case, Outcome, Ruling
from bot.model.state import Gate
from bot.policy.presets import local, preset
from bot.policy.repository import FILE
from bot.policy.rules import RULES, TALLIES

SETTINGS: Final = "the settings"
WHOLE: Final = frozenset({"fallbacks"})  # keyed by model strings, which may hold dots
Result = Literal["pass", "fail", "waived", "not decided yet"]


class Source(msgspec.Struct, frozen=True):
    """What the journal's last `policy.changed` says: the policy in force, and the file that narrowed the server's."""

    policy: Policy
    server_sha256: str
    file_commit: str = ""
    file_by: int = 0

    @property
    def file(self) -> str:
        """Name the file, its last change and who made that."""
        if not self.file_commit:
            return ""
        place = f"{FILE} of {self.policy.file_project}" if self.policy.file_project else FILE
        who = f"account {self.file_by}" if self.file_by else "an account that the forge does not name"
        return f"{place} at {self.file_commit[:12]}, last changed by {who}"


class Key(msgspec.Struct, frozen=True):
    """One key of the policy as it is in force, and which file says so."""

    key: str
    value: Any
    origin: str


class RuleSaid(msgspec.Struct, frozen=True):
    """What became of one rule at one gate."""

    rule: str
    asks: str
    result: Result
    why: str
    keys: tuple[Key, ...]


class VoteSaid(msgspec.Struct, frozen=True):
    """What became of one person's yes; `why` is empty where it counts."""

    person: int
    event_id: str
    why: str


class GateSaid(msgspec.Struct, frozen=True):
    """The newest ruling at a gate; `is_current` tells whether it was taken under the policy that is in force."""

    gate: Gate
    result: Result
    rules: tuple[RuleSaid, ...]
    votes: tuple[VoteSaid, ...] = ()
    at_ms: int = 0
    moment: str = ""
    is_current: bool = True
    is_emergency: bool = False


def flat(policy: Policy) -> dict[str, Any]:
    """Write the policy key by key: `spec.quorum`, `verb_roles.ci`."""
    return dict(_flat("", msgspec.to_builtins(policy)))


def keys_of(policy: Policy) -> tuple[Key, ...]:
    """Tell for each key of a server's policy whether its preset or the settings say it."""
    base = flat(preset(policy.preset))
    return tuple(
        Key(key, value, SETTINGS if key not in base or base[key] != value else f"preset {policy.preset}")
        for key, value in flat(policy).items()
    )


def keys_in_force(source: Source, server: Policy, *, is_local: bool) -> dict[str, Key]:
    """Tell for each key of a task's policy who says it; what differs from the server's comes from the file."""
    said = {key.key: key for key in keys_of(server)}
    alone = flat(local(server)) if is_local else {}
    file = source.file
    if server.sha256() != source.server_sha256:
        earlier = f"{SETTINGS} as they were"
        file = f"{earlier}, or {file}" if file else earlier
    found = {}
    for key, value in flat(source.policy).items():
        if key in said and said[key].value == value:
            found[key] = said[key]
        else:
            is_alone = key in alone and alone[key] == value
            found[key] = Key(key, value, "a local task" if is_alone else file or SETTINGS)
    return found


def explained(rulings: Iterable[tuple[Case, Ruling]], source: Source, keys: Mapping[str, Key]) -> tuple[GateSaid, ...]:
    """Say for each gate what the newest of the rulings, given oldest first, found."""
    newest = {case.gate: (case, ruling) for case, ruling in rulings}
    return tuple(_gate(gate, newest.get(gate), source.policy.sha256(), keys) for gate in Gate)


def _gate(gate: Gate, found: tuple[Case, Ruling] | None, policy_sha256: str, keys: Mapping[str, Key]) -> GateSaid:
    if found is None:
        rules = tuple(_rule(name, gate, None, keys, is_emergency=False) for name in RULES)
        return GateSaid(gate, "not decided yet", rules)
    case, ruling = found
    outcomes = {outcome.rule: outcome for outcome in ruling.outcomes}
    return GateSaid(
        gate=gate,
        result="pass" if ruling.passed else "fail",
        rules=tuple(_rule(name, gate, outcomes.get(name), keys, is_emergency=ruling.is_emergency) for name in RULES),
        votes=tuple(VoteSaid(one.person, one.event_id, TALLIES.get(one.code, one.code)) for one in ruling.tallies),
        at_ms=case.at_ms,
        moment=case.moment,
        is_current=case.policy_sha256 == policy_sha256,
        is_emergency=ruling.is_emergency,
    )


def _rule(name: str, gate: Gate, outcome: Outcome | None, keys: Mapping[str, Key], *, is_emergency: bool) -> RuleSaid:
    rule = RULES[name]
    result: Result = "not decided yet"
    if outcome is not None:
        is_waived = not outcome.ok and is_emergency and rule.is_waived
        result = "pass" if outcome.ok else "waived" if is_waived else "fail"
    read = tuple(keys[key] for name in rule.keys for key in _places(name, gate, keys))
    return RuleSaid(name, rule.asks, result, outcome.why if outcome else "", read)


def _places(name: str, gate: Gate, keys: Mapping[str, Key]) -> Iterator[str]:
    """Find a key a rule reads: that of the gate, that of all gates, or all of a table."""
    here = f"{gate.value}.{name}"
    yield from (key for key in keys if key in (here, name) or key.startswith(f"{name}."))


def _flat(path: str, table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict) and value and key not in WHOLE:
            yield from _flat(f"{path}{key}.", value)
        else:
            yield f"{path}{key}", value
