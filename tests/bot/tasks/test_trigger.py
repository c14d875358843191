"""A label opens a task where a person with the right set it, by hand, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from bot.forges.protocol import Home, Visibility
from bot.model.errors import Unavailable
from bot.model.event import AccountKind, Arrival, LabelEvent
from bot.model.policy import Policy
from bot.model.role import Role
from bot.tasks.trigger import NotOpened, check_visibility, is_outsider, labeller
from tests.bot.tasks.forge import MIRA, OTHER_BOT, REPO, STRANGER, TOM, MemoryForge
from tests.bot.tasks.office import Office

CREATED = 1_000_000


async def asks(office: Office, *, issue: dict[str, Any] | None = None, label: dict[str, Any] | None = None) -> int:
    """Set the label as Mira, ten seconds after Tom opened the issue, save for what a test says."""
    opened = replace(office.forge.opens(), created_ms=CREATED, **(issue or {}))
    event = office.labelled(MIRA)
    office.forge.labels = [
        LabelEvent("gatewright", TOM, CREATED + 5_000, is_set=True),
        LabelEvent("gatewright", TOM, CREATED + 6_000, is_set=False),
        LabelEvent("bug", STRANGER, CREATED + 20_000, is_set=True),
        replace(LabelEvent("Gatewright", MIRA, CREATED + 10_000, is_set=True), **(label or {})),
    ]
    return (await labeller(office.desk, office.forge, event, opened, office.desk.settings.policy)).id


async def test_the_last_who_set_it_by_the_forges_history(office: Office):
    assert await asks(office) == MIRA.id
    assert await asks(office, label={"actor": TOM}) == TOM.id, "whatever the delivery says"


REFUSED = {
    "imported": ({"arrival": Arrival.IMPORTED}, {}, "GW-TRIGGER-ARRIVAL"),
    "moved": ({"arrival": Arrival.MOVED}, {}, "GW-TRIGGER-ARRIVAL"),
    "service desk": ({"arrival": Arrival.SERVICE_DESK}, {}, "GW-TRIGGER-ARRIVAL"),
    "template": ({}, {"at_ms": CREATED + 1_500}, "GW-TRIGGER-CREATION"),
    "integration": ({}, {"is_by_app": True}, "GW-TRIGGER-APP"),
    "bot": ({}, {"actor": OTHER_BOT}, "GW-TRIGGER-APP"),
    "taken off": ({}, {"is_set": False}, "GW-TRIGGER-UNKNOWN"),
    "reader": ({}, {"actor": STRANGER}, "GW-TRIGGER-ROLE"),
}


@pytest.mark.parametrize("how", REFUSED)
async def test_nobody_else(office: Office, how: str):
    issue, label, code = REFUSED[how]
    with pytest.raises(NotOpened) as caught:
        await asks(office, issue=issue, label=label)
    assert caught.value.code == code


async def test_a_history_without_the_label_names_nobody(office: Office):
    opened = office.forge.opens()
    event = office.labelled(MIRA)
    office.forge.labels = []
    with pytest.raises(NotOpened) as caught:
        await labeller(office.desk, office.forge, event, opened, Policy())
    assert caught.value.code == "GW-TRIGGER-UNKNOWN"


async def test_the_kind_and_the_role_are_read_now(office: Office):
    office.forge.people[MIRA.id] = replace(MIRA, kind=AccountKind.UNKNOWN)
    with pytest.raises(NotOpened):
        await asks(office)
    office.forge.people[MIRA.id] = MIRA
    office.forge.roles[MIRA.id] = Role.TRIAGE
    with pytest.raises(NotOpened):
        await asks(office)
    office.forge.failing["label_events"] = Unavailable("GW-FORGE-UNAVAILABLE", "500")
    with pytest.raises(Unavailable):
        await asks(office)


async def test_policy_may_ask_for_more(office: Office):
    opened, event = office.forge.opens(), office.labelled(MIRA)
    with pytest.raises(NotOpened):
        await labeller(office.desk, office.forge, event, opened, Policy(trigger_role="maintain"))
    office.forge.roles[MIRA.id] = Role.MAINTAIN
    assert await labeller(office.desk, office.forge, event, opened, Policy(trigger_role="maintain"))


async def test_text_of_outsiders_is_told_apart_or_refused(office: Office):
    event = office.labelled(MIRA)
    for author, outside in ((TOM, False), (STRANGER, True), (OTHER_BOT, True), (None, True)):
        issue = replace(office.forge.opens(), author=author)
        assert await is_outsider(office.forge, event, issue, Policy()) is outside
        if outside:
            with pytest.raises(NotOpened, match="may not trigger"):
                await is_outsider(office.forge, event, issue, Policy(outsiders="refuse"))


@pytest.mark.parametrize(
    ("visibility", "rule", "opens"),
    [
        (Visibility.PRIVATE, "where_private", True), (Visibility.INTERNAL, "where_private", False),
        (Visibility.PUBLIC, "where_private", False), (Visibility.PRIVATE, "refuse", False),
    ],
)  # fmt: skip
def test_what_is_confidential_stays_it(visibility: Visibility, rule: Any, opens: bool) -> None:
    issue, home = MemoryForge().opens(), Home(REPO, "main", "https://x.example/r.git", visibility, 1)
    check_visibility(issue, home, Policy(confidential_issues=rule))
    hidden = replace(issue, is_confidential=True)
    if opens:
        check_visibility(hidden, home, Policy(confidential_issues=rule))
    else:
        with pytest.raises(NotOpened):
            check_visibility(hidden, home, Policy(confidential_issues=rule))
