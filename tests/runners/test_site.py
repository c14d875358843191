from __future__ import annotations

import pytest
from msgspec.structs import replace

from bot import settings as tables
from bot.model.errors import GatewrightError
from runners.site import Site
from tests.runners.stage import Stage


def test_no_secret_of_the_settings_may_reach_a_blob(stage: Stage) -> None:
    settings = replace(
        stage.settings,
        providers={"claude": tables.ProviderTable(api_key="key-1", auth_token="bearer-1")},
        endpoints={"house": tables.ProviderTable(api_key="key-2")},
        github=tables.GitHub(token="token-1", webhook_secrets=("hook-1",)),
        projects={"github.com/5": tables.Project(webhook_secrets=("hook-2",), signing_secrets=("sign-1",))},
    )
    assert set(Site(settings).secrets) == {"key-1", "bearer-1", "key-2", "token-1", "hook-1", "hook-2", "sign-1"}


def test_the_word_for_no_key_is_no_secret(stage: Stage) -> None:
    settings = replace(stage.settings, endpoints={"house": tables.ProviderTable(api_key="none")})
    assert "none" not in Site(settings).secrets


def test_a_worker_without_the_instances_key_says_which_file_to_copy(stage: Stage) -> None:
    assert stage.site.instance_public() == stage.key.public
    stage.site.instance_key.unlink()
    with pytest.raises(GatewrightError, match=r"keys/instance\.pub"):
        stage.site.instance_public()
