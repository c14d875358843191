"""Everything in the settings that nobody may read in a log, a comment, a record or a blob."""

from __future__ import annotations

from typing import Final

from bot.settings import Settings

KEYLESS: Final = "none"  # stands where an endpoint asks for no key: a word of every other text, and no secret


def known_secrets(settings: Settings) -> tuple[str, ...]:
    """List the secrets that this process was given, to be cut out wherever they turn up."""
    tables = [*settings.providers.values(), *settings.endpoints.values()]
    found = [
        secret
        for table in tables
        for secret in (table.api_key, table.auth_token, table.access_key, table.session_token)
    ]
    github, gitlab = settings.github, settings.gitlab
    found += [github.token, github.private_key, *github.webhook_secrets]
    found += [gitlab.token, gitlab.push_token, *gitlab.webhook_tokens, *gitlab.signing_secrets]
    for own in settings.projects.values():
        found += [*own.webhook_secrets, *own.webhook_tokens, *own.signing_secrets]
    found += [settings.network.proxy] if "@" in settings.network.proxy else []
    return tuple(each for each in found if each not in ("", KEYLESS))
