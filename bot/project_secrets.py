"""Webhook secrets that belong to one repository: who they are for, and that nobody else has them; pure."""

from __future__ import annotations

from collections import Counter
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

from bot.model.errors import UsageError
from bot.settings import Project, Settings

NAME: Final = "GW-WEB-PROJECT"


class Own(msgspec.Struct, frozen=True):
    """One table of [projects], read: the repository by its forge and number."""

    forge: Literal["github", "gitlab"]
    id: int
    name: str
    table: Project


def own_secrets(settings: Settings) -> tuple[Own, ...]:
    """Read [projects]; raises UsageError naming the table whose name is neither "host/id" nor "host/path" with `id`."""
    return tuple(_own(settings, name, table) for name, table in settings.projects.items())


def check_projects(settings: Settings) -> None:
    """Raise where a repository's deliveries could not be told from those of another one."""
    found = own_secrets(settings)
    for each in found:
        _check_table(each)
    for (forge, number), count in Counter((each.forge, each.id) for each in found).items():
        if count > 1:
            raise _wrong(f"number {number} on {forge}", "it has two tables", "put all its secrets into one")
    everywhere = Counter(
        secret
        for table in (settings.github, settings.gitlab, *(each.table for each in found))
        for secret in {*_secrets(table)}
    )
    for each in found:
        if any(everywhere[secret] > 1 for secret in _secrets(each.table)):
            why = "who knows a secret speaks for every repository that has it"
            raise _wrong(each.name, f"one of its secrets is also used elsewhere: {why}", "give it one of its own")


def _own(settings: Settings, name: str, table: Project) -> Own:
    host, _, rest = name.partition("/")
    github, gitlab = (urlsplit(url).hostname for url in (settings.github.web_url, settings.gitlab.url))
    if host.lower() not in (github, gitlab) or not rest:
        known = ", ".join(sorted({github or "", gitlab or ""} - {""}))
        raise _wrong(name, f"it names no forge that is configured; known: {known}", 'write "host/id" or "host/path"')
    number = int(rest) if rest.isascii() and rest.isdigit() else table.id
    if not number or (table.id and table.id != number):
        why = "its name and its `id` say different numbers" if number else "a path can be given to another repository"
        raise _wrong(name, why, "set `id` to the repository's number on its forge")
    return Own("github" if host.lower() == github else "gitlab", number, name, table)


def _check_table(own: Own) -> None:
    secrets, table = _secrets(own.table), own.table
    if not secrets or any(not secret.strip() for secret in secrets):
        raise UsageError(
            "GW-WEB-EMPTY-SECRET", "A webhook secret is empty.", fix=f'see [projects."{own.name}"]'
        )  # fmt: skip
    alien = (table.webhook_tokens or table.signing_secrets) if own.forge == "github" else table.webhook_secrets
    if alien:
        fix = "webhook_secrets are GitHub's; webhook_tokens and signing_secrets are GitLab's"
        raise _wrong(own.name, "it has secrets of the other forge's kind", fix)


def _secrets(table: object) -> tuple[str, ...]:
    names = ("webhook_secrets", "webhook_tokens", "signing_secrets")
    return tuple(secret for name in names for secret in getattr(table, name, ()))


def _wrong(name: str, why: str, fix: str) -> UsageError:
    return UsageError(NAME, f'[projects."{name}"] cannot be used', why=why, fix=fix)
