"""A new instance key while control runs: `gatewright keys rotate` replaces files, and every replica takes it up."""

from __future__ import annotations

import asyncio

from bot.keyring import instance_key, shown_key
from bot.tasks.desk import Desk


async def take_up_key(desk: Desk) -> None:
    """Sign with the key that lies there now; orders by the one before are found and given anew."""
    name = desk.settings.server.instance
    if desk.settings.audit.sign_command or shown_key(desk.data) == desk.key.vkey(name):
        return
    key = await asyncio.to_thread(instance_key, desk.data, name)
    if key.public != desk.key.public:
        desk.key = key
        desk.log.warning("key.changed", vkey=key.vkey(name))
