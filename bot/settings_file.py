"""Where settings come from: `gatewright.toml`, `GATEWRIGHT_SECTION__KEY`, and files for secrets."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

import msgspec

from bot.model.errors import UsageError
from bot.settings import Section, Settings

PREFIX: Final = "GATEWRIGHT_"
NOT_KEYS: Final = frozenset({"GATEWRIGHT_CONFIG", "GATEWRIGHT_TEST_DATA", "GATEWRIGHT_HANDOVER_FD"})
FILE: Final = "_file"
SECRET: Final = "(secret)"  # noqa: S105 - the mark in a description, not a secret

Table = dict[str, Any]


def load(path: Path | None = None, env: Mapping[str, str] | None = None) -> Settings:
    """Read the settings; raise UsageError naming the key, where it stands, and the nearest known one."""
    env = os.environ if env is None else env
    named = env.get("GATEWRIGHT_CONFIG", "")
    path = path or (Path(named) if named else None)
    table = _read(path) if path else {}
    _overlay(table, env)
    where = str(path) if path else "the environment"
    _check(table, Settings, (), where)
    _secrets(table, Settings, (), path.parent if path else Path())
    try:
        return msgspec.convert(table, Settings)
    except msgspec.ValidationError as error:
        raise UsageError("GW-SETTINGS-VALUE", f"a setting in {where} is not usable", why=str(error)) from None


def data_dir(settings: Settings, env: Mapping[str, str] | None = None) -> Path:
    """Find the state directory: the setting, else XDG_STATE_HOME/gatewright, else ~/.local/state/gatewright."""
    env = os.environ if env is None else env
    if settings.server.data_dir:
        return Path(settings.server.data_dir).expanduser()
    base = env.get("XDG_STATE_HOME", "")
    return (Path(base) if base else Path.home() / ".local" / "state") / "gatewright"


def _read(path: Path) -> Table:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            "GW-SETTINGS-READ", f"cannot read {path}", why=error.strerror or str(error), fix="name it with --config"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError("GW-SETTINGS-TOML", f"{path} is not valid TOML", why=str(error)) from None


def _overlay(table: Table, env: Mapping[str, str]) -> None:
    """Let the environment win: `GATEWRIGHT_GITHUB__TOKEN=...`, lists and numbers as TOML writes them."""
    for name, value in sorted(env.items()):
        if not name.startswith(PREFIX) or name in NOT_KEYS or "__" not in name:
            continue
        *path, key = name.removeprefix(PREFIX).lower().split("__")
        place = table
        for part in path:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise UsageError("GW-SETTINGS-VALUE", f"{name} names a key below something that is no table")
        place[key] = _value(value)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def fields(shape: type[Section]) -> Iterator[tuple[str, Any, str]]:
    """List the keys of a table: name, type without its notes, description."""
    hints = get_type_hints(shape, include_extras=True)
    for field in msgspec.structs.fields(shape):
        kind, *notes = get_args(hints[field.name]) if _is_annotated(hints[field.name]) else (hints[field.name],)
        text = next((n.description for n in notes if isinstance(n, msgspec.Meta) and n.description), "")
        yield field.name, kind, text


def _is_annotated(kind: Any) -> bool:
    return hasattr(kind, "__metadata__")


def section_of(kind: Any) -> type[Section] | None:
    """Name the table behind a type: the struct itself, or that of a table of tables."""
    if isinstance(kind, type) and issubclass(kind, Section):
        return kind
    args = get_args(kind)
    return section_of(args[1]) if len(args) == 2 else None


def _check(table: Table, shape: type[Section], path: tuple[str, ...], where: str) -> None:
    known = {name: (kind, text) for name, kind, text in fields(shape)}
    allowed = set(known) | {name + FILE for name, (_, text) in known.items() if SECRET in text}
    for key, value in table.items():
        if key not in allowed:
            raise _unknown((*path, key), allowed, where)
        if key not in known or not isinstance(value, dict):
            continue
        kind, _ = known[key]
        inner = section_of(kind)
        if inner is None:
            continue
        below = {(key,): value} if inner is kind else {(key, name): each for name, each in value.items()}
        for place, each in below.items():
            if isinstance(each, dict):
                _check(each, inner, (*path, *place), where)


def _unknown(path: tuple[str, ...], allowed: set[str], where: str) -> UsageError:
    near = difflib.get_close_matches(path[-1], sorted(allowed), 1, 0.5)
    known = f"known here: {', '.join(sorted(allowed))}"
    return UsageError(
        "GW-SETTINGS-UNKNOWN",
        f"there is no setting '{'.'.join(path)}' (in {where})",
        fix=f"did you mean '{'.'.join((*path[:-1], near[0]))}'?" if near else known,
    )


def _secrets(table: Table, shape: type[Section], path: tuple[str, ...], base: Path) -> None:
    """Replace every `..._file` by what the file holds, relative to the settings file."""
    for name, kind, text in fields(shape):
        if SECRET in text and (file := table.pop(name + FILE, None)) is not None:
            table[name] = _secret(base / Path(file).expanduser(), kind, ".".join((*path, name)))
        inner = section_of(kind)
        below = table.get(name)
        if inner is None or not isinstance(below, dict):
            continue
        for each in [below] if inner is kind else [v for v in below.values() if isinstance(v, dict)]:
            _secrets(each, inner, (*path, name), base)


def _secret(path: Path, kind: Any, name: str) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(
            "GW-SETTINGS-SECRET", f"cannot read the file of {name}: {path}", why=error.strerror or str(error)
        ) from None
    return text.strip() if kind is str else [line for line in text.splitlines() if line.strip()]
