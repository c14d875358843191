"""`gatewright endpoints ...`, as bot/cli.py has the other verbs."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer

from bot.cli_options import PLAIN, Config, Json

endpoints = typer.Typer(help="Register model endpoints; their keys are kept encrypted.", **PLAIN)

Endpoint = Annotated[str, typer.Argument(help="Name of the endpoint: what stands before the colon of a model string.")]


@endpoints.command("add")
def endpoints_add(
    name: Endpoint,
    url: Annotated[str, typer.Argument(help="Base URL, such as https://gpu-1.example/v1; a preset has its own.")] = "",
    preset: Annotated[str, typer.Option("--preset", help="Known server: see `gatewright endpoints presets`.")] = "",
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Let the key go over http:// to another machine.")
    ] = False,
    config: Config = None,
) -> None:
    """Register an OpenAI-compatible endpoint; its key is asked for without echo, or read from a pipe."""
    machine = import_module("bot.cli").machine()
    raise typer.Exit(
        _target("endpoints.add")(name, url, preset=preset, insecure=insecure, config=config, machine=machine)
    )


@endpoints.command("presets")
def endpoints_presets(as_json: Json = False) -> None:
    """List the servers that `add --preset` knows."""
    raise typer.Exit(_target("endpoints.presets")(as_json=as_json))


@endpoints.command("list")
def endpoints_list(config: Config = None, as_json: Json = False) -> None:
    """List registered endpoints with the fingerprints of their keys."""
    raise typer.Exit(_target("endpoints.list")(config, as_json=as_json))


@endpoints.command("test")
def endpoints_test(
    name: Endpoint,
    model: Annotated[str, typer.Option("--model", help="Model to ask; else the first that it lists.")] = "",
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Ask an endpoint for its models and for a tool call, and say how long it took."""
    raise typer.Exit(_target("endpoints.test")(name, model=model, config=config, as_json=as_json))


@endpoints.command("remove")
def endpoints_remove(name: Endpoint, config: Config = None) -> None:
    """Forget a registered endpoint and its key."""
    raise typer.Exit(_target("endpoints.remove")(name, config=config))


@endpoints.command("rotate")
def endpoints_rotate(config: Config = None) -> None:
    """Encrypt all keys anew with the newest master key."""
    raise typer.Exit(_target("endpoints.rotate")(config=config))


def _target(name: str) -> Any:
    """Load what a verb names; when it is called, for bot/cli.py imports this file."""
    return import_module("bot.cli").target(name)
