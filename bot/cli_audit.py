"""`gatewright audit ...`, as bot/cli.py has the other verbs."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli_options import PLAIN, Json

audit = typer.Typer(help="Check and read evidence.", **PLAIN)

Evidence = Annotated[str, typer.Argument(help="Checkout, bare repository, folder, bundle or address.")]
OneTask = Annotated[str, typer.Option("--task", help="Only this task.")]
Rev = Annotated[str, typer.Option("--rev", help="Branch, ref or commit to read.")]
Trust = Annotated[Path | None, typer.Option("--trust", help="Whose signatures count: a trust file.")]
Log = Annotated[Path | None, typer.Option("--log", help="Copy of the instance's log.")]
Since = Annotated[str, typer.Option("--since", help="Tasks that ended on this day (UTC) or later.")]
Until = Annotated[str, typer.Option("--until", help="And on this day or earlier.")]


@audit.command("verify")
def audit_verify(  # noqa: PLR0913, PLR0917 - typer calls it by name
    path: Evidence = ".",
    task: OneTask = "",
    rev: Rev = "",
    trust: Trust = None,
    level: Annotated[str, typer.Option("--level", help="Level to reach, L0 to L5; default the highest.")] = "",
    log: Log = None,
    blobs: Annotated[Path | None, typer.Option("--blobs", help="Store of payloads to check as well.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also every commit: which has no sealed task?")] = False,
    since: Annotated[str, typer.Option("--since", help="With --all: from this day or revision on.")] = "",
    as_json: Json = False,
) -> None:
    """Check evidence: exit 0 level reached, 1 tampered, 2 incomplete, 3 trust or usage, 4 unreadable."""
    verify, which = _target("audit.verify"), {"task": task, "rev": rev, "level": level, "trust": trust, "since": since}
    raise typer.Exit(verify(path, log=log, blobs=blobs, everything=everything, json=as_json, **which))


@audit.command("show")
def audit_show(
    path: Evidence = ".",
    task: OneTask = "",
    rev: Rev = "",
    html: Annotated[Path | None, typer.Option("--html", help="Write one page, with verdict and timeline.")] = None,
    trust: Trust = None,
    log: Log = None,
) -> None:
    """Show who did what, and when."""
    raise typer.Exit(_target("audit.show")(path, task=task, rev=rev, html=html, trust=trust, log=log))


@audit.command("export")
def audit_export(  # noqa: PLR0913, PLR0917 - typer calls it by name
    out: Annotated[Path, typer.Option("--out", help="The zip to write.")],
    path: Evidence = ".",
    task: OneTask = "",
    rev: Rev = "",
    since: Since = "",
    until: Until = "",
    trust: Annotated[Path | None, typer.Option("--trust", help="Trust file to judge by, and to put in.")] = None,
    log: Annotated[Path | None, typer.Option("--log", help="Copy of the instance's log to put in.")] = None,
    blobs: Annotated[Path | None, typer.Option("--blobs", help="Store of payloads to put in.")] = None,
) -> None:
    """Write a zip for an auditor: evidence, a verifier, a list of changes, and how to check all of it."""
    where = _where(path=path, task=task, rev=rev, trust=trust, log=log, blobs=blobs)
    raise typer.Exit(_target("audit.export")(where, out, since=since, until=until))


@audit.command("changes")
def audit_changes(  # noqa: PLR0913, PLR0917 - typer calls it by name
    path: Evidence = ".",
    task: OneTask = "",
    rev: Rev = "",
    since: Since = "",
    until: Until = "",
    form: Annotated[str, typer.Option("--format", help="csv or json.")] = "csv",
    out: Annotated[Path | None, typer.Option("--out", help="File to write; else it is printed.")] = None,
    titles: Annotated[bool, typer.Option("--titles", help="With the first heading of each spec.")] = False,
    trust: Trust = None,
    log: Log = None,
) -> None:
    """List changes, one row a task: who asked, who approved, models, tests, cost, level reached."""
    changes, where = _target("audit.changes"), _where(path=path, task=task, rev=rev, trust=trust, log=log)
    raise typer.Exit(changes(where, since=since, until=until, form=form, out=out, titles=titles))


@audit.command("explain")
def audit_explain(
    line: Annotated[str, typer.Argument(metavar="PATH[:LINE]", help="A file in the repository, and a line of it.")],
    repo: Annotated[str, typer.Option("--repo", help="Checkout, bare repository or address.")] = ".",
    rev: Rev = "",
    trust: Trust = None,
    log: Log = None,
    as_json: Json = False,
) -> None:
    """Say which commit, task, spec, approvals, model and tests a line comes from; without LINE, for the whole file."""
    raise typer.Exit(_target("audit.explain")(line, _where(path=repo, rev=rev, trust=trust, log=log), json=as_json))


def _where(**said: Any) -> Any:
    return _target("audit.where")(**said)


def _target(name: str) -> Any:
    """Load what a verb names; when it is called, for bot/cli.py imports this file."""
    return import_module("bot.cli").target(name)
