"""`gatewright keys ...` and `gatewright audit witness`, as bot/cli.py has the other verbs."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli_options import PLAIN, Config, Json

keys = typer.Typer(help="The keys that this instance signs with, and what auditors need of them.", **PLAIN)


@keys.command("init")
def keys_init(config: Config = None) -> None:
    """Make the instance's key unless it is there, and print its public half."""
    raise typer.Exit(_target("keys.init")(config))


@keys.command("show")
def keys_show(
    public: Annotated[str, typer.Option("--public", help="64 hex digits of a raw key to spell for public_key.")] = "",
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Print the verifier keys that speak or spoke for this instance."""
    raise typer.Exit(_target("keys.show")(config, public=public, as_json=as_json))


@keys.command("rotate")
def keys_rotate(config: Config = None) -> None:
    """Put a new key in the place of the one in use, and announce it signed by both; nothing has to be stopped."""
    raise typer.Exit(_target("keys.rotate")(config))


@keys.command("revoke")
def keys_revoke(
    key: Annotated[str, typer.Argument(help="Verifier key, or its eight hex digits.")],
    log_size: Annotated[
        int, typer.Option("--log-size", min=-1, help="Entries that still count; else those of the log on this machine.")
    ] = -1,
    config: Config = None,
) -> None:
    """Announce that an older key does not speak for this instance any more."""
    raise typer.Exit(_target("keys.revoke")(key, log_size=log_size, config=config))


@keys.command("trust")
def keys_trust(
    out: Annotated[Path | None, typer.Option("--out", help="File to write; else it is printed.")] = None,
    config: Config = None,
) -> None:
    """Write the trust file of this instance, for auditors to compare with what they were given and to keep."""
    raise typer.Exit(_target("keys.trust")(config, out=out))


def audit_witness(
    log_key: Annotated[str, typer.Option("--log-key", help="Verifier key of the log: `gatewright keys show`.")],
    key: Annotated[Path, typer.Option("--key", help="File of the witness's own key; made unless it is there.")],
    state: Annotated[Path, typer.Option("--state", help="File that remembers what was signed last; keep it.")],
    listen: Annotated[str, typer.Option("--listen", help="ADDRESS:PORT to answer on.")] = "127.0.0.1:8090",
    name: Annotated[str, typer.Option("--name", help="Name of the witness; else that of the log and .witness.")] = "",
) -> None:
    """Be a witness for somebody's instance log: cosign every head that goes on from the last one, and no other."""
    raise typer.Exit(_target("audit.witness")(listen=listen, log_key=log_key, key=key, state=state, name=name))


def _target(name: str) -> Any:
    """Load what a verb names; when it is called, for bot/cli.py imports this file."""
    return import_module("bot.cli").target(name)
