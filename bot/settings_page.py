"""Settings as people read them: the table in force, the JSON schema, and docs/configuration.md."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

import msgspec

from bot.model.section import Section
from bot.settings import Settings
from bot.settings_file import FILE, SECRET, fields, listed_of, section_of

MASK: Final = "***"
BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
HEAD: Final = """# Configuration

<!-- Made from bot/settings.py by `make docs`; a test compares. -->

Gatewright reads `gatewright.toml` (`--config`, or `GATEWRIGHT_CONFIG`). Every key can also come from the environment as
`GATEWRIGHT_SECTION__KEY` (lists and numbers as TOML writes them), and every key marked *secret* from a file: write
`key_file = "path"` instead of `key`, relative to the settings file. An unknown key is an error that names the nearest
known one. `gatewright config show` prints what is in force, `gatewright config check` checks a file,
`gatewright config schema` prints the JSON schema for editors. A commented example is `config/gatewright.example.toml`.

`policy.preset` names what unset keys of `[policy]` come from: `config/team.toml` or `config/regulated.toml`, whose
comments say why. `gatewright policy show` prints the policy in force and the origin of each value. With `regulated`
in force, the environment changes nothing in `[policy]`, `[sandbox]`, `[workspace]` and `[audit]`. A `[policy]` table
in the repository's `.gatewright.toml` takes the same keys; it only ever makes things stricter, and what would not is
refused by name. `profile` in that file chooses models: [providers.md](providers.md#profiles). `[secrets]` lets false
alarms pass, as far as `policy.exemptions` lets it: `allow = ["tests/fixtures/**:github-token"]`, path glob and kind:
[scope.md](scope.md#secrets).
"""


def show(settings: Settings, *, as_json: bool = False) -> int:
    """Print all settings in force, secrets masked."""
    masked = _masked(msgspec.to_builtins(settings), Settings)
    if as_json:
        sys.stdout.write(json.dumps({"schema": "gatewright/config/v1", "settings": masked}, indent=2) + "\n")
        return 0
    for section, table in masked.items():
        for line in _lines(section, table):
            sys.stdout.write(line + "\n")
    return 0


def schema() -> int:
    """Print the JSON schema of gatewright.toml."""
    sys.stdout.write(schema_text())
    return 0


def schema_text() -> str:
    """Write config/gatewright.schema.json: the shape of the settings, and `..._file` beside every secret."""
    found = msgspec.json.schema(Settings)
    for table in found["$defs"].values():
        known = table.get("properties", {})
        secrets = [name for name, about in known.items() if SECRET in about.get("description", "")]
        known.update({name + FILE: {"type": "string", "description": f"File that holds {name}"} for name in secrets})
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **found}, indent=2) + "\n"


def page() -> str:
    """Write docs/configuration.md."""
    parts = [HEAD]
    for name, kind, _ in fields(Settings):
        inner = section_of(kind)
        if inner is not None:
            parts += _tables(name if inner is kind else f"{name}.<name>", inner, {}, "##")
    return "\n".join(parts)


def _tables(path: str, shape: type[Section], held: Mapping[str, Any], level: str) -> Iterator[str]:
    """Describe a table and those within it; `held` is what it has by default where that is not what its class says."""
    title = f"[[{path}]]" if level.endswith("[") else f"[{path}]"
    yield f"{level.rstrip('[')} `{title}`\n\n{(shape.__doc__ or '').strip()}\n"
    values = {**_defaults(shape), **held}
    yield "\n".join(_rows(shape, values)) + "\n"
    below = "#" + level.rstrip("[")
    for name, kind, _ in fields(shape):
        inner, each = section_of(kind), listed_of(kind)
        if inner is kind and inner is not None:
            yield from _tables(f"{path}.{name}", inner, values[name], below)
        elif inner is not None:
            yield from _tables(f"{path}.{name}.<name>", inner, {}, below)
        elif each is not None:
            yield from _tables(f"{path}.{name}", each, {}, below + "[")


def _defaults(shape: type[Section]) -> dict[str, Any]:
    """Find the default of each key; None stands for a key that has to be given."""
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(shape):
        if field.default_factory is not msgspec.NODEFAULT:
            found[field.name] = msgspec.to_builtins(field.default_factory())
        else:
            found[field.name] = None if field.default is msgspec.NODEFAULT else msgspec.to_builtins(field.default)
    return found


def _rows(shape: type[Section], values: Mapping[str, Any]) -> Iterator[str]:
    yield "| key | default | meaning |"
    yield "|:--|:--|:--|"
    required = {field.name for field in msgspec.structs.fields(shape) if field.required}
    for name, kind, text in fields(shape):
        choices = [str(each) for each in get_args(_inmost(kind)) if isinstance(each, str)]
        meaning = text or f"Model string of the phase `{name}`"
        meaning = meaning.replace(SECRET, "*(secret)*")
        if choices:
            meaning += ": " + ", ".join(f"`{each}`" for each in choices)
        default = f"`{json.dumps(values[name])}`"
        if name in required:
            default = "required"
        elif section_of(kind) is kind:
            default = "a table, below"
        yield f"| `{name}` | {default} | {meaning} |"


def _inmost(kind: Any) -> Any:
    """Find what a table or a list holds, where that is one of some words."""
    args = [each for each in get_args(kind) if each is not Ellipsis]
    return args[-1] if args and get_args(args[-1]) and section_of(kind) is None else kind


def spelled(value: Any) -> str:
    """Write a value as TOML does on one line."""
    if isinstance(value, dict):
        held = ", ".join(f"{_key(key)} = {spelled(each)}" for key, each in value.items())
        return f"{{ {held} }}" if held else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(spelled(each) for each in value)}]"
    return json.dumps(value, ensure_ascii=False)


def _masked(table: dict[str, Any], shape: type[Section]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, kind, text in fields(shape):
        value, inner = table[name], section_of(kind)
        if inner is kind and inner is not None:
            shown[name] = _masked(value, inner)
        elif inner is not None:
            shown[name] = {key: _masked(each, inner) for key, each in value.items()}
        else:
            shown[name] = _mask(value) if SECRET in text and value else value
    return shown


def _mask(value: Any) -> Any:
    return MASK if isinstance(value, str) else [MASK] * len(value)


def _lines(path: str, table: dict[str, Any]) -> Iterator[str]:
    plain = {
        key: value for key, value in table.items() if value is not None and not (isinstance(value, dict) and value)
    }
    if plain:
        yield f"[{path}]"
        for key, value in plain.items():
            yield f"{_key(key)} = {spelled(value)}"
        yield ""
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from _lines(f"{path}.{_key(key)}", value)


def _key(name: str) -> str:
    """Quote the key of a person's own, such as the model `gpt-4.1`."""
    return name if BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)
