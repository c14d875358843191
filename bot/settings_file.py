"""Where settings come from: `gatewright.toml`, `GATEWRIGHT_SECTION__KEY`, and files for secrets."""

from __future__ import annotations

import difflib
import errno
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

import msgspec

from bot.model.errors import UsageError
from bot.model.profile import NAME, PHASES, phase_models, unknown
from bot.model.routing import RESERVED
from bot.model.section import Section
from bot.policy.presets import fill, problems
from bot.settings import NamedProfile, Settings

PREFIX: Final = "GATEWRIGHT_"
NOT_KEYS: Final = frozenset({"GATEWRIGHT_CONFIG", "GATEWRIGHT_TEST_DATA", "GATEWRIGHT_HANDOVER_FD"})
FILE: Final = "_file"
LOCKED: Final = ("policy", "sandbox", "workspace", "audit")  # under `regulated` only the file says these
SECRET: Final = "(secret)"  # noqa: S105 - the mark in a description, not a secret

Table = dict[str, Any]


def load(path: Path | None = None, env: Mapping[str, str] | None = None) -> Settings:
    """Read the settings; raise UsageError naming the key, where it stands, and the nearest known one."""
    env = os.environ if env is None else env
    named = env.get("GATEWRIGHT_CONFIG", "")
    path = path or (Path(named) if named else None)
    table = _read(path) if path else {}
    where = str(path) if path else "the environment"
    _check(table, Settings, (), where)
    before = _is_regulated(table)
    _overlay(table, env)
    _check(table, Settings, (), "the environment")
    _lock(env, before=before, after=_is_regulated(table))
    _secrets(table, Settings, (), path.parent if path else Path())
    if isinstance(said := table.get("policy", {}), dict):
        table["policy"] = fill(said)
    settings = _profiles(_converted(table, where), path.parent if path else Path())
    _check_endpoints(settings, where)
    if found := problems(settings.policy):
        raise UsageError(
            "GW-POLICY-SETTINGS", f"nobody could keep the policy (in {where})", why="\n".join(found),
            fix="mend these keys; `gatewright policy show --preset NAME` shows what a preset fills in",
        )  # fmt: skip
    return settings


def _converted(table: Table, where: str) -> Settings:
    try:
        return msgspec.convert(table, Settings)
    except msgspec.ValidationError as error:
        why, _, place = str(error).partition(" - at `$.")
        raise UsageError(
            "GW-SETTINGS-VALUE", f"the setting {place.rstrip('`') or 'itself'} (in {where}) is not usable", why=why,
            fix="`gatewright config schema` and docs/configuration.md say what each key takes",
        ) from None  # fmt: skip


def _check_endpoints(settings: Settings, where: str) -> None:
    if taken := sorted(RESERVED & set(settings.endpoints)):
        raise UsageError(
            "GW-ENDPOINT-NAME", f"{taken[0]} cannot be the name of an endpoint (in {where})",
            why=f"{taken[0]}:<model> would be taken for something else", fix="give that table another name",
        )  # fmt: skip


def _profiles(settings: Settings, base: Path) -> Settings:
    """Read the files of named profiles, and hold `trigger.profile` to one that there is."""
    named = {name: _profile(name, said, base) for name, said in settings.profiles.items()}
    if settings.trigger.profile not in ("", *named):
        raise unknown(settings.trigger.profile, named)
    return msgspec.structs.replace(settings, profiles=named)


def _profile(name: str, said: NamedProfile, base: Path) -> NamedProfile:
    if not NAME.fullmatch(name) or name in PHASES:
        raise UsageError(
            "GW-PROFILE-NAME", f"{ascii(name)[1:-1][:60]} cannot be the name of a profile",
            fix="take small letters, digits, dots, dashes and underlines, 39 at most, and no phase: it ends a label",
        )  # fmt: skip
    if not said.file:
        return said
    if both := [phase for phase in PHASES if getattr(said, phase)]:
        raise UsageError(
            "GW-PROFILE-FILE", f"profiles.{name} has a file and says {', '.join(both)} as well",
            fix="say the phases in the one place or the other",
        )  # fmt: skip
    return msgspec.structs.replace(said, **phase_models(read_profile(base / Path(said.file).expanduser()), said.file))


def read_profile(path: Path) -> bytes:
    """Read the file of a profile; raises UsageError where there is none."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            "GW-PROFILE-FILE", f"cannot read the profile {path}", why=error.strerror or str(error),
            fix="correct its path, which counts from the folder of the settings file",
        ) from None  # fmt: skip


def data_dir(settings: Settings, env: Mapping[str, str] | None = None) -> Path:
    """Find the state directory: the setting, else XDG_STATE_HOME/gatewright, else ~/.local/state/gatewright."""
    env = os.environ if env is None else env
    if settings.server.data_dir:
        return Path(settings.server.data_dir).expanduser()
    if base := env.get("XDG_STATE_HOME", ""):
        return Path(base) / "gatewright"
    try:
        home = Path(env["HOME"]) if env.get("HOME") else Path.home()
    except RuntimeError:  # a numeric user in a container has neither
        raise UsageError(
            "GW-DATA-DIR", "there is no place for Gatewright's state", why="this user has no home directory",
            fix="set [server] data_dir, or GATEWRIGHT_SERVER__DATA_DIR",
        ) from None  # fmt: skip
    return home / ".local" / "state" / "gatewright"


def make_dir(path: Path) -> Path:
    """Make a private state directory unless it is there; raises UsageError where this user may not."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise UsageError(
            "GW-DATA-DIR", f"{path} cannot hold Gatewright's state", why=error.strerror or str(error),
            fix="set [server] data_dir, or GATEWRIGHT_SERVER__DATA_DIR, to a directory that you may write",
        ) from None  # fmt: skip
    return path


def open_work_dir(settings: Settings, folder: Path) -> dict[str, str]:
    """Choose where worktrees lie, as settings: a root worker's jail has its own user, who enters no private folder.

    Nothing is chosen where the settings name a place, or where the worker is no root and the jail keeps its user.
    """
    if settings.worker.work_dir or os.geteuid() != 0:
        return {}
    folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    return {"GATEWRIGHT_WORKER__WORK_DIR": str(folder / "work")}


def _read(path: Path) -> Table:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            "GW-SETTINGS-READ",
            f"cannot read {path}",
            why=error.strerror or str(error),
            fix="name the file with --config or GATEWRIGHT_CONFIG",
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError("GW-SETTINGS-TOML", f"{path} is not valid TOML", why=str(error)) from None


def _overlay(table: Table, env: Mapping[str, str]) -> None:
    """Let the environment win: `GATEWRIGHT_GITHUB__TOKEN=...`, lists and numbers as TOML writes them."""
    for name, (*path, key) in _names(env):
        value, place = env[name], table
        for part in path:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise UsageError("GW-SETTINGS-VALUE", f"{name} names a key below something that is no table")
        # One of a secret and its file wins: the environment's.
        place.pop(key.removesuffix(FILE) if key.endswith(FILE) else key + FILE, None)
        place[key] = _value(value, is_text=_kind_at((*path, key)) is str)


def _names(env: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
    """List the variables that are settings, each with the path of its key."""
    for name in sorted(env):
        if name.startswith(PREFIX) and name not in NOT_KEYS and "__" in name:
            yield name, name.removeprefix(PREFIX).lower().split("__")


def _is_regulated(table: Table) -> bool:
    policy = table.get("policy")
    return isinstance(policy, dict) and policy.get("preset") == "regulated"


def _lock(env: Mapping[str, str], *, before: bool, after: bool) -> None:
    """Refuse variables that say something else than a regulated file; to ask for `regulated` is no weakening."""
    if not before and not after:
        return
    for name, path in _names(env):
        if path[0] in LOCKED and not (path == ["policy", "preset"] and after):
            raise UsageError(
                "GW-SETTINGS-LOCKED", f"{name} may not change what is regulated",
                why=f'with policy.preset = "regulated" only the settings file says {_listed(LOCKED)}',
                fix="take the variable out of the environment, and set the key in the file where it is right",
            )  # fmt: skip


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"[{name}]" for name in names)


def _kind_at(path: Sequence[str]) -> Any:
    """Find the type of a key; None where there is no such key."""
    shape: type[Section] | None = Settings
    names = list(path)
    while names and shape is not None:
        kind = {name: kind for name, kind, _ in fields(shape)}.get(names.pop(0))
        shape = section_of(kind)
        if shape is not None and shape is not kind and names:
            names.pop(0)  # the name a person gave to one table of many
        if not names:
            return kind
    return None


def _value(text: str, *, is_text: bool) -> Any:
    """Read a value as TOML writes it; a text needs no quotes, so that `0123` may be a token."""
    if is_text and not text.startswith(('"', "'")):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def fields(shape: type[Section]) -> Iterator[tuple[str, Any, str]]:
    """List the keys of a table: name, type without its notes, description; a table's is what its class says."""
    hints = get_type_hints(shape, include_extras=True)
    for field in msgspec.structs.fields(shape):
        kind, *notes = get_args(hints[field.name]) if _is_annotated(hints[field.name]) else (hints[field.name],)
        text = next((n.description for n in notes if isinstance(n, msgspec.Meta) and n.description), "")
        inner = section_of(kind) or listed_of(kind)
        yield field.name, kind, text or (inner.__doc__ or "" if inner else "")


def _is_annotated(kind: Any) -> bool:
    return hasattr(kind, "__metadata__")


def section_of(kind: Any) -> type[Section] | None:
    """Name the table behind a type: the struct itself, or that of a table of tables."""
    if isinstance(kind, type) and issubclass(kind, Section):
        return kind
    args = get_args(kind)
    return section_of(args[1]) if len(args) == 2 else None


def listed_of(kind: Any) -> type[Section] | None:
    """Name the table behind a list of tables."""
    args = get_args(kind)
    return section_of(args[0]) if len(args) == 2 and args[1] is Ellipsis else None


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
            here = ".".join((*path, name))
            if name in table or not isinstance(file, str):
                why = f"{here} is set as well" if name in table else "it names no file"
                raise UsageError("GW-SETTINGS-SECRET", f"the setting {here}{FILE} cannot be followed", why=why)
            table[name] = _secret(base / Path(file).expanduser(), kind, here)
        inner = section_of(kind)
        below = table.get(name)
        if inner is None or not isinstance(below, dict):
            continue
        tables = (
            {(): below} if inner is kind else {(key,): each for key, each in below.items() if isinstance(each, dict)}
        )
        for place, each in tables.items():
            _secrets(each, inner, (*path, name, *place), base)


def _secret(path: Path, kind: Any, name: str) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            "GW-SETTINGS-SECRET", f"cannot read the file of {name}: {path}",
            why=getattr(error, "strerror", None) or str(error),
            fix=f"correct {name}{FILE}; its path counts from the folder of the settings file",
        ) from None  # fmt: skip
    return text.strip() if kind is str else [line for line in text.splitlines() if line.strip()]
