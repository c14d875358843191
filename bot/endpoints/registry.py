"""Registered endpoints beside those of the settings: the settings that a worker has."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from msgspec import structs

from bot.endpoints import book
from bot.endpoints.master import master_keys
from bot.endpoints.vault import Entry, Vault
from bot.model.errors import UsageError
from bot.settings import ProviderTable, Settings
from bot.settings_file import data_dir, load

FILE: Final = "endpoints.json"


def place(settings: Settings, env: Mapping[str, str] | None = None) -> Path:
    """Say where the registered endpoints lie."""
    named = settings.registry.file
    return Path(named).expanduser().absolute() if named else data_dir(settings, env).absolute() / FILE


def worker_settings(config: Path | None = None, env: Mapping[str, str] | None = None) -> Settings:
    """Read the settings as a worker has them: with the registered endpoints and their keys."""
    return equipped(load(config, env), env)


def equipped(settings: Settings, env: Mapping[str, str] | None = None) -> Settings:
    """Add the registered endpoints; a master key is asked for only where there are any.

    A table `[endpoints.NAME]` without an address and a key says more of a registered one: prices, residency and so on.
    """
    entries = book.read(place(settings, env))
    if not entries:
        return settings
    check_clash(entries, settings)
    vault = Vault(master_keys(settings.registry, env))
    tables = {name: described(settings, name, entry, vault.open(name, entry)) for name, entry in entries.items()}
    return structs.replace(settings, endpoints={**settings.endpoints, **tables})


def listed(settings: Settings, env: Mapping[str, str] | None = None) -> Settings:
    """Add the registered endpoints without their keys, for who only has to know where a model string leads."""
    entries = book.read(place(settings, env))
    check_clash(entries, settings)
    tables = {name: described(settings, name, entry, "") for name, entry in entries.items()}
    return structs.replace(settings, endpoints={**settings.endpoints, **tables})


def described(settings: Settings, name: str, entry: Entry, key: str) -> ProviderTable:
    """Put a registered address and key into what the settings say of the endpoint."""
    return structs.replace(settings.endpoints.get(name, ProviderTable()), base_url=entry.base_url, api_key=key)


def check_clash(names: Collection[str], settings: Settings) -> None:
    """Raise where the settings have an address or a key of that name: which is used must never be a matter of order."""
    said = {name for name, table in settings.endpoints.items() if table.base_url or table.api_key or table.auth_token}
    if both := sorted(set(names) & said):
        raise UsageError(
            "GW-ENDPOINT-CLASH", f"the endpoint {both[0]} stands in the settings",
            why=f"[endpoints.{both[0]}] and a registered endpoint would be the same model string",
            fix=f"keep one: `gatewright endpoints remove {both[0]}`, or take base_url and key out of the table",
        )  # fmt: skip
