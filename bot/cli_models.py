"""`gatewright models ...`, as bot/cli.py has the other verbs."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli_options import PLAIN, Config, Json, Profile

models = typer.Typer(help="See where model strings lead, and whether they would work here.", **PLAIN)


@models.command("resolve")
def models_resolve(
    model: Annotated[str, typer.Argument(help="Model string, such as sonnet or ollama:qwen3:14b.")] = "",
    profile: Profile = "",
    check: Annotated[bool, typer.Option("--check", help="Fail where key or runtime is missing; no network.")] = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Say where a model string or each phase of a profile goes, why, and whether policy lets it."""
    machine = import_module("bot.cli").machine()
    raise typer.Exit(_target("models.show")(model, profile, config, check=check, as_json=as_json, machine=machine))


@models.command("check")
def models_check(
    strings: Annotated[list[str] | None, typer.Argument(metavar="[MODEL]...", help="Else all of the settings.")] = None,
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document a line.")] = False,
) -> None:
    """Look whether models would work here: runtime and version, key, address, name. No model is asked."""
    raise typer.Exit(_target("models.check")(strings or [], _settings(config), as_json=as_json))


def _settings(path: Path | None) -> Any:
    """Load the settings with the keys of registered endpoints."""
    return _target("endpoints.settings")(path)


def _target(name: str) -> Any:
    """Load what a verb names; when it is called, for bot/cli.py imports this file."""
    return import_module("bot.cli").target(name)
