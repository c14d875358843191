from __future__ import annotations

from bot import settings as tables
from bot.known_secrets import known_secrets
from bot.settings import Settings


def test_every_secret_of_the_settings_is_known_and_a_missing_key_is_none() -> None:
    settings = Settings(
        providers={"claude": tables.ProviderTable(api_key="key-1", auth_token="bearer-1")},
        endpoints={"house": tables.ProviderTable(api_key="none")},
        github=tables.GitHub(token="token-1", webhook_secrets=("hook-1",)),
        gitlab=tables.GitLab(token="token-2", push_token="token-3", webhook_tokens=("hook-2",)),
        projects={"github.com/5": tables.Project(webhook_secrets=("hook-3",))},
        network=tables.Network(proxy="http://me:word@proxy:1"),
    )
    assert set(known_secrets(settings)) == {
        "key-1", "bearer-1", "token-1", "hook-1", "token-2", "token-3", "hook-2", "hook-3", "http://me:word@proxy:1",
    }  # fmt: skip
    assert known_secrets(Settings()) == ()
