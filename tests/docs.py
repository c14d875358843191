"""Write the pages that are made from code, or say which are stale: `python -m tests.docs --write | --check`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import typer

from bot.audit.report import schema_text as audit_schema
from bot.cli import app
from bot.reports.commands_page import commands_page
from bot.settings_page import page, schema_text

ROOT: Final = Path(__file__).resolve().parent.parent
CLI_HEAD: Final = """# Command line

<!-- Made from bot/cli.py by `make docs`; a test compares. -->

Results go to stdout, everything else to stderr. `--json` prints one JSON document; its `schema` names its form. Without
a terminal nothing prompts and nothing approves, save `demo`, which says so. `--config FILE` names the settings file,
else the variable `GATEWRIGHT_CONFIG` does: [configuration.md](configuration.md).

| exit | means |
|:--|:--|
| 0 | done |
| 1 | failed; the error says what to do |
| 2 | the call or a setting cannot be carried out as written |
| 3 | waits for a person |
| 130 | interrupted |

`audit verify` has [exit codes of its own](audit.md#verifying). An error has a code, what happened, why, and how to mend
it: [errors.md](errors.md) lists all codes.
"""


def cli_page() -> str:
    """Write docs/cli.md: every verb with its arguments and options."""
    return "\n".join([CLI_HEAD, *_verbs(typer.main.get_command(app), "gatewright")])


def _verbs(command: Any, name: str) -> Iterator[str]:
    if commands := getattr(command, "commands", None):
        for word, each in commands.items():
            yield from _verbs(each, f"{name} {word}")
        return
    shown = [each for each in command.params if each.name != "help"]
    arguments = [each for each in shown if each.param_type_name == "argument"]
    options = [each for each in shown if each.param_type_name == "option" and each.name != "config"]
    usage = [name, *(_spelled(o) if o.required else f"[{_spelled(o)}]" for o in options)]
    usage += [each.name.upper() if each.required else f"[{each.name.upper()}]" for each in arguments]
    if command.allow_extra_args:
        usage.append("-- COMMAND...")
    yield f"## {name}\n\n{command.help}\n\n```\n{_wrapped(usage)}\n```\n"
    rows = [(each.name.upper(), getattr(each, "help", "")) for each in arguments]
    rows += [(_spelled(each), each.help) for each in options]
    if described := [f"| `{what}` | {help_} |" for what, help_ in rows if help_]:
        yield "\n".join(["| | |", "|:--|:--|", *described, ""])


def _spelled(option: Any) -> str:
    return option.opts[0] if option.is_flag else f"{option.opts[0]} {option.opts[0].lstrip('-').upper()}"


def _wrapped(words: list[str]) -> str:
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word) < 100:
            lines[-1] += f" {word}"
        else:
            lines.append(f"    {word}")
    return "\n".join(lines)


PAGES: Final[dict[str, Callable[[], str]]] = {
    "docs/cli.md": cli_page,
    "docs/commands.md": commands_page,
    "docs/configuration.md": page,
    "config/gatewright.schema.json": schema_text,
    "docs/audit-verify.schema.json": audit_schema,
}


def stale() -> list[str]:
    """Name the pages that are not what the code says."""
    return [name for name, make in PAGES.items() if not _is(ROOT / name, make())]


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


def main(words: list[str]) -> int:
    """Do what is asked; return the exit code."""
    if words == ["--write"]:
        for name, make in PAGES.items():
            (ROOT / name).parent.mkdir(exist_ok=True)
            (ROOT / name).write_text(make(), encoding="utf-8")
        return 0
    if words == ["--check"]:
        found = stale()
        for name in found:
            print(f"{name} is stale; run `make docs`", file=sys.stderr)
        return int(bool(found))
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
