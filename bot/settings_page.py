"""Settings as people read them: the table in force, the JSON schema, and docs/configuration.md."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any, Final, get_args

import msgspec

from bot.settings import Section, Settings
from bot.settings_file import FILE, SECRET, fields, section_of

MASK: Final = "***"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
HEAD: Final = """# Configuration

<!-- Made from bot/settings.py by `make docs`; a test compares. -->

Gatewright reads `gatewright.toml` (`--config`, or `GATEWRIGHT_CONFIG`). Every key can also come from the environment as
`GATEWRIGHT_SECTION__KEY` (lists and numbers as TOML writes them), and every key marked *secret* from a file: write
`key_file = "path"` instead of `key`, relative to the settings file. An unknown key is an error that names the nearest
known one. `gatewright config show` prints what is in force, `gatewright config check` checks a file,
`gatewright config schema` prints the JSON schema for editors. A commented example is `config/gatewright.example.toml`.
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
        if inner is None:
            continue
        title = f"[{name}]" if inner is kind else f"[{name}.<name>]"
        parts.append(f"## `{title}`\n\n{(inner.__doc__ or '').strip()}\n")
        parts.append("\n".join(_rows(inner)) + "\n")
    return "\n".join(parts)


def _rows(shape: type[Section]) -> Iterator[str]:
    defaults = msgspec.to_builtins(shape())
    yield "| key | default | meaning |"
    yield "|:--|:--|:--|"
    for name, kind, text in fields(shape):
        choices = [str(each) for each in get_args(kind) if isinstance(each, str)]
        meaning = text or f"Model string of the phase `{name}`"
        meaning = meaning.replace(SECRET, "*(secret)*")
        if choices:
            meaning += ": " + ", ".join(f"`{each}`" for each in choices)
        yield f"| `{name}` | `{json.dumps(defaults[name])}` | {meaning} |"


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
            yield f"{_key(key)} = {json.dumps(value, ensure_ascii=False)}"
        yield ""
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from _lines(f"{path}.{_key(key)}", value)


def _key(name: str) -> str:
    """Quote the key of a person's own, such as the model `gpt-4.1`."""
    return name if BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)
