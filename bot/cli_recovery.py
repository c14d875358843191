"""`gatewright audit redact` and `gatewright recover`, as bot/cli.py has the other verbs."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer

from bot.cli_options import Config


def audit_redact(
    task: Annotated[str, typer.Argument(help="Task whose payload it is.")],
    commitment: Annotated[str, typer.Argument(help="Payload to delete: its 64 hex digits.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, in one line that stands in the evidence.")],
    config: Config = None,
) -> None:
    """Delete one payload for good, and say so in the journal or, once that is sealed, in the instance log."""
    raise typer.Exit(_target("audit.redact")(task, commitment, reason, config))


def recover(
    repo: Annotated[str, typer.Option("--repo", help="Repository with the audit refs: a path or an address.")],
    task: Annotated[str, typer.Option("--task", help="Only this task.")] = "",
    config: Config = None,
) -> None:
    """Bring tasks back from git after Redis lost them: verified, never made up; 1 where a person has to look."""
    raise typer.Exit(_target("recover")(repo, task, config))


def _target(name: str) -> Any:
    """Load what a verb names; when it is called, for bot/cli.py imports this file."""
    return import_module("bot.cli").target(name)
