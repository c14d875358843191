"""`gatewright sandbox ...`, as bot/cli.py has the other verbs."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli_options import PLAIN, Config, Json

sandbox = typer.Typer(help="Try the jail that agents get.", **PLAIN)


@sandbox.command("run", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def sandbox_run(  # noqa: PLR0917 - typer calls it by name
    context: typer.Context,
    directory: Annotated[Path, typer.Option("--dir", help="The worktree to show in the jail.")] = Path(),
    no_gateway: Annotated[bool, typer.Option("--no-gateway", help="Without the relay to a gateway.")] = False,
    read_only: Annotated[bool, typer.Option("--read-only", help="The directory cannot be written.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but what the command prints.")] = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Run a command (after --) in exactly the jail that agents get, and say what it cost and what limited it.

    The gateway that is there refuses everything. With --json, what the command prints is in the document.
    """
    ended = _target("sandbox.run")(
        directory, context.args, _settings(config), has_gateway=not no_gateway, writable=not read_only, quiet=quiet,
        as_json=as_json,
    )  # fmt: skip
    raise typer.Exit(ended)


@sandbox.command("limits")
def sandbox_limits(config: Config = None) -> None:
    """Say which limits of the jail hold on this machine, and by what; exit code 1 where one does not."""
    raise typer.Exit(_target("sandbox.limits")(_settings(config).sandbox))


def _settings(path: Path | None) -> Any:
    """Load the settings of this call."""
    return import_module("bot.cli").settings(path)


def _target(name: str) -> Any:
    """Load what a verb names; when it is called, for bot/cli.py imports this file."""
    return import_module("bot.cli").target(name)
