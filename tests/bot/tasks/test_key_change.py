"""A key that was rotated while control runs: taken up, and what the old one ordered is ordered anew."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from bot import keyring
from bot.audit.order import is_ours, verify_order
from bot.settings import Audit
from bot.tasks.key_change import take_up_key
from tests.bot.tasks.office import Office


@pytest.fixture
async def office(redis_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    made = Office(redis_url, tmp_path)
    yield made
    await made.close()


async def test_a_rotated_key_is_taken_up_and_secrets_stay(office: Office):
    before = office.desk.key
    await take_up_key(office.desk)
    assert office.desk.key is before
    keyring.rotate(office.desk.data, "gatewright")
    await take_up_key(office.desk)
    assert office.desk.key.public != before.public
    assert office.desk.key.derive("marker") == before.derive("marker")
    assert office.log.events() == ["key.changed"]


async def test_a_key_of_a_command_is_not_looked_for_in_files(office: Office):
    keyring.rotate(office.desk.data, "gatewright")
    before = office.desk.key
    office.desk.settings = msgspec.structs.replace(office.desk.settings, audit=Audit(sign_command=("sign",)))
    await take_up_key(office.desk)
    assert office.desk.key is before


async def test_an_order_by_the_old_key_is_given_anew_and_the_task_goes_on(office: Office):
    task = await office.opened()
    before = office.desk.key
    assert is_ours(await office.redis.get(f"gw:order:{task}:1"), before.public)
    keyring.rotate(office.desk.data, "gatewright")
    await take_up_key(office.desk)
    office.ahead_ms += 6_000
    await office.converge(task)
    present = await office.converge(task)
    order = verify_order(await office.redis.get(f"gw:order:{task}:2"), office.desk.key.public)
    assert (present.running.number, order.attempt) == (2, 2)
