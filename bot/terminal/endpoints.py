"""`gatewright endpoints ...`: register endpoints whose keys nobody sees again."""

from __future__ import annotations

import getpass
import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any, Final

import msgspec

from bot.endpoints import book
from bot.endpoints.address import checked_name, checked_url
from bot.endpoints.master import master_keys
from bot.endpoints.presets import preset as find_preset
from bot.endpoints.presets import presets
from bot.endpoints.registry import check_clash, described, place
from bot.endpoints.vault import Entry, Vault
from bot.model.errors import GatewrightError, UsageError
from bot.network import go_out
from bot.settings import ProviderTable, Settings
from bot.settings_file import load
from bot.terminal.endpoint_trial import try_out
from bot.terminal.models import Machine
from bot.terminal.screen import safe

KEY_MAX: Final = 8_192
NO_KEY: Final = "none"
LATER: Final = "Workers take it up when they are started again.\n"


def add(name: str, url: str, *, preset: str, insecure: bool, config: Path | None, machine: Machine) -> int:
    """Ask for the key of an endpoint and seal it; an endpoint of that name is replaced."""
    settings = load(config)
    known = find_preset(preset) if preset else None
    url = checked_url(url or (known.base_url if known else ""), insecure=insecure)
    _check_free(checked_name(name), settings, machine)
    vault = Vault(master_keys(settings.registry))
    book.read(place(settings))  # what is wrong with the file is said before a key is asked for
    key = checked_key(_asked(name, may_lack=known is not None and not known.needs_key))
    with book.changing(place(settings)) as entries:
        word = "replaced" if name in entries else "added"
        entries[name] = vault.seal(name, url, key, time.time_ns() // 1_000_000)
    sys.stdout.write(f"{name} is {word}: {url}, key {vault.fingerprint(key)}. Its models are {name}:MODEL.\n{LATER}")
    return 0


def show_presets(*, as_json: bool) -> int:
    """List what `add --preset` knows."""
    if as_json:
        known = {name: msgspec.to_builtins(one) for name, one in presets().items()}
        sys.stdout.write(json.dumps({"schema": "gatewright/endpoint-presets/v1", "presets": known}, indent=2) + "\n")
        return 0
    widths = max(map(len, presets())), max(len(one.base_url) for one in presets().values())
    for name, one in presets().items():
        sys.stdout.write(f"{name:<{widths[0]}}  {one.base_url:<{widths[1]}}  {one.about}\n")
    return 0


def show(config: Path | None, *, as_json: bool) -> int:
    """List what is registered, and whether each key can be used; return 1 where one cannot."""
    settings = load(config)
    rows, problems = _rows(settings, book.read(place(settings)))
    if as_json:
        sys.stdout.write(json.dumps({"schema": "gatewright/endpoint-list/v1", "endpoints": rows}, indent=2) + "\n")
        return int(bool(problems))
    widths = [max((len(safe(row[key])) for row in rows), default=0) for key in ("name", "base_url")]
    for row in rows:
        shown = row["fingerprint"] or row["problem"]
        words = f"{row['name']:<{widths[0]}}  {row['base_url']:<{widths[1]}}  {shown:<16}  {row['added']}"
        sys.stdout.write(safe(words.replace("\n", " ")) + "\n")
    if not rows:
        sys.stdout.write("No endpoint is registered. To add one: gatewright endpoints add NAME URL\n")
    for error in problems:
        sys.stderr.write(f"error[{error.code}]: {error.what}\n  why: {error.why}\n  fix: {error.fix}\n")
    return int(bool(problems))


def test(name: str, *, model: str, config: Path | None, as_json: bool) -> int:
    """Ask an endpoint for its models, and one of them for a tool call; raises where it does not answer."""
    settings = load(config)
    table = _table(settings, name)
    go_out(settings)
    trial = try_out(name, table, model)
    sys.stdout.write(trial.document(name, table.base_url) if as_json else trial.lines(name, table.base_url))
    return 0


def remove(name: str, *, config: Path | None) -> int:
    """Forget an endpoint and its key; no master key is needed."""
    with book.changing(place(load(config))) as entries:
        if entries.pop(name, None) is None:
            raise _unknown(name, entries)
    sys.stdout.write(
        f"{name} is removed; workers that run now have it until they end. Revoke its key where it is from.\n"
    )
    return 0


def rotate(*, config: Path | None) -> int:
    """Seal all keys with the newest master key; nothing is changed where one of them does not open."""
    settings = load(config)
    with book.changing(place(settings)) as entries:
        vault = Vault(master_keys(settings.registry))
        for name, old in entries.items():
            entries[name] = vault.seal(name, old.base_url, vault.open(name, old), old.added_ms)
        count = len(entries)
    sys.stdout.write(f"{count} sealed with the newest master key; the older ones open nothing here any more.\n")
    return 0


def checked_key(key: str) -> str:
    """Accept what can stand in a header; raises UsageError that does not repeat it."""
    if key and len(key) <= KEY_MAX and key.isascii() and key.isprintable() and " " not in key:
        return key
    why = "it holds other characters than one line of ASCII" if key else "nothing was given"
    raise UsageError(
        "GW-ENDPOINT-KEY", "that is no key", why=why, fix="give it as one line; `none` where the endpoint wants none"
    )


def _asked(name: str, *, may_lack: bool) -> str:
    """Take the key from a person without echo, or from what is piped in; NO_KEY where nothing has to be given."""
    return _given(name, "; empty for none" if may_lack else "") or (NO_KEY if may_lack else "")


def _given(name: str, note: str) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.buffer.read(KEY_MAX + 3).decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass(f"Key of {name} (not shown{note}): ")
    except EOFError:
        return ""
    except getpass.GetPassWarning:
        raise UsageError("GW-ENDPOINT-KEY", "this terminal would show the key", fix="pipe the key in") from None


def _check_free(name: str, settings: Settings, machine: Machine) -> None:
    """Refuse names that stand for something else already."""
    check_clash((name,), settings)
    try:
        machine.resolve(f"{name}:vendor/model", Settings())
    except UsageError:
        return  # nobody goes by that prefix
    raise UsageError(
        "GW-ENDPOINT-NAME", f"{name} cannot be the name of an endpoint",
        why=f"{name}:<model> is a model string of its own", fix="take another name",
    )  # fmt: skip


def _rows(settings: Settings, entries: dict[str, Entry]) -> tuple[list[dict[str, str]], list[GatewrightError]]:
    rows: list[dict[str, str]] = []
    problems: dict[tuple[str, str], GatewrightError] = {}
    for name, entry in sorted(entries.items()):
        added = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(min(max(entry.added_ms, 0), 10**14) / 1000))
        row = {"name": name, "base_url": entry.base_url, "fingerprint": "", "added": added, "problem": ""}
        try:
            check_clash((name,), settings)
            vault = Vault(master_keys(settings.registry))
            row["fingerprint"] = vault.fingerprint(vault.open(name, entry))
        except GatewrightError as error:
            row["problem"] = error.code
            problems[error.code, error.what] = error
        rows.append(row)
    return rows, list(problems.values())


def _table(settings: Settings, name: str) -> ProviderTable:
    """Find an endpoint, a registered one or one of the settings, whatever is wrong with others."""
    entries = book.read(place(settings))
    if name in entries:
        check_clash((name,), settings)
        key = Vault(master_keys(settings.registry)).open(name, entries[name])
        return described(settings, name, entries[name], key)
    if name in settings.endpoints:
        return settings.endpoints[name]
    raise _unknown(name, {**entries, **settings.endpoints})


def _unknown(name: str, known: dict[str, Any]) -> UsageError:
    return UsageError(
        "GW-ENDPOINT-UNKNOWN", f"there is no endpoint {ascii(name)[:80]}",
        why=f"known here: {', '.join(sorted(known)) or 'none'}", fix="see `gatewright endpoints list`",
    )  # fmt: skip
