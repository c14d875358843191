from __future__ import annotations

import msgspec
import pytest

from bot.audit.keys import BoxError, InstanceKey, Opener
from bot.forges.protocol import GitAccess
from bot.model.access import Ask, context, message
from bot.model.errors import GatewrightError, Unavailable
from bot.model.policy import Policy
from bot.tasks import handover
from bot.tasks.handover import hand_over
from tests.bot.tasks.office import Office


class Asker:
    """A worker's side of a request."""

    def __init__(self, office: Office, task: str, attempt: int = 1, number: int = 1) -> None:
        self.office, self.task, self.attempt, self.number = office, task, attempt, number
        self.knock = f"access:{task}:{attempt}:{number}"
        self.opener = Opener()

    async def ask(self, *, write: bool = False, key: InstanceKey | None = None, signed: str = "", **more) -> None:
        public = self.opener.public.hex()
        policy = more.get("policy", self.office.desk.settings.policy.sha256())
        said = message(signed or self.knock, public, write=more.get("said", write), policy=more.get("told", policy))
        ask = Ask(public, write, policy, (key or self.office.runner).sign(said).hex())
        await self.office.redis.set(f"gw:{self.knock}:ask", msgspec.json.encode(ask))

    async def answered(self) -> bool:
        return await hand_over(self.office.desk, self.task, self.attempt, self.number)

    async def sealed(self) -> bytes | None:
        return await self.office.redis.get(f"gw:{self.knock}")


async def test_the_present_attempt_gets_what_only_it_can_open(office: Office):
    asker = Asker(office, await office.opened())
    await asker.ask(write=True)
    assert await asker.answered()
    sealed = await asker.sealed()
    access = msgspec.json.decode(asker.opener.open(sealed, context(asker.knock)), type=GitAccess)
    assert (access.password, office.forge.tokens) == ("ghs_write", [True])
    with pytest.raises(BoxError):
        Opener().open(sealed, context(asker.knock))
    with pytest.raises(BoxError):
        asker.opener.open(sealed, context("access:43-aaaaaa:1:1"))
    assert 0 < await office.redis.ttl(f"gw:{asker.knock}") <= handover.LIFE_S


async def test_the_log_names_a_credential_by_its_digest_only(office: Office):
    asker = Asker(office, await office.opened())
    await asker.ask()
    await asker.answered()
    [fields] = [fields for event, fields in office.log.lines if event == "access.minted"]
    assert len(fields["token_sha256"]) == 12
    assert "ghs_" not in str(office.log.lines)


async def refused(office: Office, asker: Asker, event: str = "") -> None:
    assert not await asker.answered()
    assert await asker.sealed() is None
    assert office.forge.tokens == []
    if event:
        assert event in office.log.events()


async def test_0_without_a_request_there_is_no_answer(office: Office):
    await refused(office, Asker(office, await office.opened()))


@pytest.mark.parametrize("raw", [b"", b"{", b'{"public":"zz","write":true}', b'{"public":"00"}', b'{"more":1}'])
async def test_0_a_request_that_does_not_read_is_refused(office: Office, raw: bytes):
    asker = Asker(office, await office.opened())
    await office.redis.set(f"gw:{asker.knock}:ask", raw)
    await refused(office, asker, "access.unreadable")


async def test_0_a_request_is_answered_once(office: Office):
    asker = Asker(office, await office.opened())
    await asker.ask()
    assert await asker.answered()
    await office.redis.delete(f"gw:{asker.knock}")
    assert not await asker.answered()
    assert await asker.sealed() is None


@pytest.mark.parametrize("present", ["2", None])
async def test_1_an_attempt_that_may_not_act_is_refused(office: Office, present: str | None):
    asker = Asker(office, await office.opened())
    await asker.ask()
    if present:
        await office.redis.set(f"gw:current:{asker.task}", present)
    else:
        await office.redis.delete(f"gw:current:{asker.task}")
    await refused(office, asker, "access.superseded")


async def test_2_a_request_that_the_runner_key_did_not_sign_is_refused(office: Office):
    asker = Asker(office, await office.opened())
    await asker.ask(key=InstanceKey.generate())
    await refused(office, asker, "access.forged")


async def test_2_a_signature_of_another_request_is_refused(office: Office):
    asker = Asker(office, await office.opened())
    await asker.ask(signed=f"access:{asker.task}:1:2")
    await refused(office, asker, "access.forged")


async def test_2_a_signature_for_reading_does_not_open_for_writing(office: Office):
    asker = Asker(office, await office.opened())
    await asker.ask(write=True, said=False)
    await refused(office, asker, "access.forged")


async def test_2_a_worker_that_goes_by_other_rules_is_refused(office: Office):
    asker = Asker(office, await office.opened())
    await asker.ask(policy=Policy(min_role="admin").sha256())
    await refused(office, asker, "access.policy")


async def test_2_the_rules_a_worker_names_are_signed(office: Office):
    asker = Asker(office, await office.opened())
    await asker.ask(told=Policy(min_role="admin").sha256())
    await refused(office, asker, "access.forged")


async def test_2_without_a_runner_key_nothing_is_believed(office: Office):
    asker = Asker(office, await office.opened())
    await asker.ask()
    (office.desk.data / "keys" / "runner.pub").unlink()
    with pytest.raises(GatewrightError) as missing:
        await asker.answered()
    assert missing.value.code == "GW-CONTROL-RUNNER-KEY"
    assert office.forge.tokens == []


async def test_3_what_the_forge_does_not_mint_is_not_handed_over(office: Office):
    asker = Asker(office, await office.opened())
    office.forge.failing["git_access"] = GatewrightError("GW-FORGE-FORBIDDEN", "no")
    await asker.ask()
    await refused(office, asker, "access.unavailable")


async def test_3_a_forge_that_is_away_is_asked_again(office: Office, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(handover, "PAUSES_S", (0.0, 0.0))
    asker = Asker(office, await office.opened())
    office.forge.failing["git_access"] = Unavailable("GW-FORGE-UNAVAILABLE", "down")
    await asker.ask()
    await refused(office, asker)
    assert office.log.codes("access.unavailable") == ["GW-FORGE-UNAVAILABLE"] * 3
