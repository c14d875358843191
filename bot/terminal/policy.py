"""`gatewright policy show` and `policy explain`: who may decide what, and which file says so."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from bot.audit import kinds
from bot.audit.record import Record, data_of, decode
from bot.model.errors import GatewrightError
from bot.model.event import ForgeKind
from bot.model.policy import Policy
from bot.model.ruling import Case, Ruling
from bot.policy.explain import GateSaid, Key, RuleSaid, Source, explained, keys_in_force, keys_of
from bot.policy.presets import preset
from bot.settings_file import load
from bot.settings_page import spelled
from bot.terminal.screen import safe
from bot.terminal.stores import Store, ask

MARKS: Final = {"pass": "✓", "fail": "✗", "waived": "!", "not decided yet": "·"}


def show(config: Path | None, *, preset_name: str, as_json: bool) -> int:
    """Print the policy of the settings, or of a preset, with the origin of each value."""
    policy = preset(preset_name) if preset_name else load(config).policy
    keys = keys_of(policy)
    if as_json:
        _write({"schema": "gatewright/policy/v1", "sha256": policy.sha256(), "keys": msgspec.to_builtins(keys)})
        return 0
    for line in _toml(keys):
        sys.stdout.write(line + "\n")
    return 0


def explain(task: str, config: Path | None, *, as_json: bool) -> int:
    """Say what the newest ruling at each gate found; raises GatewrightError where there is no task of that id."""

    async def lines(store: Store) -> list[bytes]:
        return await store.lines(task)

    found = next((each.answer for each in ask(config, lines) if each.answer), None)
    if found is None:
        raise GatewrightError("GW-TASK-UNKNOWN", f"there is no task {task}", fix="see `gatewright tasks list`")
    source, gates = account((decode(line) for line in found), load(config).policy)
    if as_json:
        about = {"sha256": source.policy.sha256(), "file": source.file, "gates": msgspec.to_builtins(gates)}
        _write({"schema": "gatewright/policy-explained/v1", "task": task, **about})
        return 0
    sys.stdout.write(f"  task    {task}\n  policy  {source.policy.sha256()[:12]}\n")
    if source.file:
        sys.stdout.write(f"  file    {safe(source.file)}\n")
    for gate in gates:
        for line in _said(gate):
            sys.stdout.write(safe(line) + "\n")
    return 0


def account(records: Iterable[Record], server: Policy) -> tuple[Source, tuple[GateSaid, ...]]:
    """Find in a journal the policy in force and all rulings; raises GatewrightError where no policy is recorded."""
    source: Source | None = None
    rulings: list[tuple[Case, Ruling]] = []
    is_local = False
    for record in records:
        data = data_of(record)
        if isinstance(data, kinds.TaskOpened):
            is_local = data.forge == ForgeKind.LOCAL
        elif isinstance(data, kinds.PolicyChanged):
            source = Source(data.policy, data.server_sha256, data.file_commit, data.file_by)
        elif isinstance(data, kinds.RulingMade):
            rulings.append((data.case, data.ruling))
    if source is None:
        raise GatewrightError(
            "GW-POLICY-UNRECORDED", "the task's journal names no policy", why="it was opened before there were any",
            fix="end it with `cancel`, and set the label again",
        )  # fmt: skip
    return source, explained(rulings, source, keys_in_force(source, server, is_local=is_local))


def _toml(keys: Iterable[Key]) -> Iterator[str]:
    table = ""
    yield "[policy]"
    for key in sorted(keys, key=lambda each: each.key.count(".")):
        path, _, name = key.key.rpartition(".")
        if path != table:
            table = path
            yield f"\n[policy.{path}]"
        yield f"{f'{name} = {spelled(key.value)}':<39} # {key.origin}"


def _said(gate: GateSaid) -> Iterator[str]:
    yield f"\n{gate.gate.value} gate: {gate.result}{_when(gate)}"
    for vote in gate.votes:
        counts = f"does not count: {vote.why}" if vote.why else "counts"
        yield f"  yes of account {vote.person} ({vote.event_id}): {counts}"
    for rule in gate.rules:
        yield from _rule(rule)


def _when(gate: GateSaid) -> str:
    if not gate.at_ms:
        return ""
    at = datetime.fromtimestamp(gate.at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    notes = [", the glass was broken" if gate.is_emergency else ""]
    notes += ["" if gate.is_current else ", under an earlier policy"]
    return f", at {gate.moment}, {at}{''.join(notes)}"


def _rule(rule: RuleSaid) -> Iterator[str]:
    why = f": {rule.why}" if rule.why else ""
    yield f"  {MARKS[rule.result]} {rule.rule:<9} {rule.asks}{why}"
    for key in rule.keys:
        yield f"              {key.key} = {spelled(key.value)}  ({key.origin})"


def _write(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
