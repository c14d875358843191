"""Which profile a new task gets: the one of a label, else of the repository's file, else the server's default."""

from __future__ import annotations

import msgspec

from bot.audit import kinds
from bot.forges.protocol import Forge
from bot.model.errors import GatewrightError, Refused
from bot.model.event import Event, Issue
from bot.model.profile import Choice, asked
from bot.model.task import Profile
from bot.profiles import chosen, server_profile
from bot.residency import check_profile
from bot.settings import Settings
from bot.tasks.allotment import check_use
from bot.tasks.desk import Desk
from bot.tasks.rulebook import FILE, Rulebook
from bot.tasks.trigger import NotOpened, who_set


async def selected(desk: Desk, forge: Forge, event: Event, issue: Issue, book: Rulebook) -> kinds.ProfileSet:
    """Settle a new task's models; raise NotOpened where what was chosen cannot be had, or may not be used."""
    settings = desk.settings
    choice, place = await _choice(desk, forge, event, issue, book)
    try:
        profile = chosen(settings, choice, server_profile(settings))
        if choice.is_made:
            check_profile(lambda model: check_use(settings, event.repo, book.policy, model), profile)
    except GatewrightError as error:
        fix = f"{error.fix}; {place} says what was chosen" if error.fix else f"change {place}"
        raise NotOpened(error.code, error.what, why=error.why, fix=fix) from None
    return recorded(profile, choice.name if choice.is_made else settings.trigger.profile)


def recorded(profile: Profile, name: str = "") -> kinds.ProfileSet:
    """Spell a profile for a journal, with its name if it has one."""
    return kinds.ProfileSet(**msgspec.structs.asdict(profile), name=name)


def labels_of(settings: Settings, issue: Issue) -> tuple[str, ...]:
    """List the labels of an issue that choose a profile: `<trigger label>:<name>`."""
    before, brake = f"{settings.trigger.label}:".lower(), settings.trigger.pause_label.lower()
    return tuple(label for label in issue.labels if label.lower().startswith(before) and label.lower() != brake)


async def _choice(desk: Desk, forge: Forge, event: Event, issue: Issue, book: Rulebook) -> tuple[Choice, str]:
    """Find what was chosen, and where it stands."""
    labels = labels_of(desk.settings, issue)
    if len(labels) > 1:
        raise NotOpened(
            "GW-PROFILE-LABELS", f"{len(labels)} labels choose a profile: {', '.join(labels)}",
            fix=f"leave one of them, take {desk.settings.trigger.label} off and set it again",
        )  # fmt: skip
    if labels:
        await _trusted(desk, forge, event, issue, book, labels[0])
        return Choice(name=labels[0][len(desk.settings.trigger.label) + 1 :].lower()), f"the label {labels[0]}"
    place = f"profile in {FILE}"
    try:
        return (Choice() if book.profile is None else asked(book.profile, FILE)), place
    except GatewrightError as error:
        raise NotOpened(error.code, error.what, why=error.why, fix=error.fix) from None


async def _trusted(desk: Desk, forge: Forge, event: Event, issue: Issue, book: Rulebook, label: str) -> None:
    """Hold a label that chooses models to what the one is held to that opens tasks."""
    try:
        await who_set(forge, event, issue, book.policy, label)
    except Refused as error:
        trigger = desk.settings.trigger.label
        raise NotOpened(
            "GW-PROFILE-LABEL", f"the label {label} does not count: {error.what}", why=error.why,
            fix=f"take it off, or have somebody set it again who may; then take {trigger} off and set it again",
        ) from None  # fmt: skip
