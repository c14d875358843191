"""The policy in force is the server's, narrowed by one file of a protected branch."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bot.model.errors import GatewrightError
from bot.model.event import ForgeKind
from bot.model.policy import GateRule, Policy
from bot.settings import Settings
from bot.tasks.rulebook import Rulebook, rulebook
from tests.bot.tasks.forge import REPO, commit
from tests.bot.tasks.office import Office


async def book(office: Office, **policy: object) -> Rulebook:
    office.desk.settings = Settings(policy=replace(Policy(), **policy))
    return await rulebook(office.desk, office.forge, await office.forge.home(REPO))


async def test_without_a_file_it_is_the_servers(office: Office):
    found = await book(office, gate_days=3)
    assert (found.policy.gate_days, found.file_sha256, found.server_sha256) == (3, "", found.policy.sha256())


async def test_the_file_narrows_and_who_changed_it_is_named(office: Office):
    office.forge.files[".gatewright.toml"], office.forge.file_by = b"[policy.spec]\nquorum = 2\n", 31
    found = await book(office)
    assert (found.policy.spec.quorum, found.file_by, found.file_commit) == (2, 31, "f" * 40)
    assert found.policy.sha256() != found.server_sha256
    assert found.record().policy == found.policy


async def test_the_file_never_widens_and_the_log_says_so(office: Office):
    office.forge.files[".gatewright.toml"] = b"[policy.spec]\nquorum = 1\n"
    found = await book(office, spec=GateRule(quorum=2))
    assert (found.policy.spec.quorum, [refused.key for refused in found.refused]) == (2, ["policy.spec.quorum"])
    assert "policy.widening" in office.log.events()


@pytest.mark.parametrize("content", [b"[policy", b"[policy]\nquorum = 1", b"policy = 3", b"\xff", b"#" * 70_000])
async def test_what_cannot_be_read_is_no_policy(office: Office, content: bytes):
    office.forge.files[".gatewright.toml"] = content
    with pytest.raises(GatewrightError) as caught:
        await book(office)
    assert caught.value.code == "GW-POLICY-FILE"


async def test_the_server_may_pin_project_and_branch(office: Office):
    office.forge.heads["policy"] = commit("policy")
    office.forge.files[".gatewright.toml"] = b"[policy.spec]\nquorum = 2\n"
    found = await book(office, file_project=REPO.path, file_ref="policy")
    assert found.policy.spec.quorum == 2
    asked = office.forge.calls["lookup"]
    assert asked == 1
    with pytest.raises(GatewrightError) as caught:
        await book(office, file_project="pay/elsewhere")
    assert caught.value.code == "GW-POLICY-FILE"


async def test_one_person_at_a_terminal_keeps_what_one_person_can(office: Office):
    home = replace(await office.forge.home(REPO), repo=replace(REPO, forge=ForgeKind.LOCAL))
    office.desk.settings = Settings(policy=Policy(spec=GateRule(quorum=2, not_by=("labeller",)), gate_days=3))
    found = await rulebook(office.desk, office.forge, home)
    assert (found.policy.spec, found.policy.gate_days) == (GateRule(), 3)


async def test_a_policy_that_no_record_could_hold_is_refused(office: Office):
    paths = ", ".join(f'"some/rather/long/path/number/{number}/**"' for number in range(400))
    office.forge.files[".gatewright.toml"] = f"[policy]\nprotected_paths = [{paths}]\n".encode()
    with pytest.raises(GatewrightError) as refused:
        await book(office)
    assert refused.value.code == "GW-POLICY-FILE"
    assert "too large" in refused.value.what
