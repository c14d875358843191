from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from bot.model.errors import GatewrightError
from bot.model.event import ForgeKind
from bot.model.state import Step
from bot.settings import ProviderTable
from runners.jails import choose, try_out
from runners.site import Site
from runners.workspace import launch
from runners.workspace.probe import SLOT
from tests.runners.stage import CODED, Stage
from tests.simulators.models import ModelServer, Script, Tool
from tests.simulators.models.script import Step as Model
from tests.simulators.models.server import REAL_KEY


def test_agents_are_confined_unless_the_settings_accept_the_risk_in_words(stage: Stage) -> None:
    order = stage.order(Step.CODING)
    assert choose(stage.settings, order, is_recorded=False) == "bwrap"
    open_settings = replace(stage.settings, sandbox=replace(stage.settings.sandbox, mode="none-i-accept-the-risk"))
    assert choose(open_settings, order, is_recorded=False) == "none"


def test_without_bubblewrap_only_recorded_answers_on_a_local_repository_run(stage: Stage) -> None:
    order = stage.order(Step.CODING)
    # A user that no jail can be started as: the probe of a machine that cannot confine.
    broken = replace(stage.settings, sandbox=replace(stage.settings.sandbox, user=2**32 - 1 - SLOT))
    forged = replace(order, repo=replace(order.repo, forge=ForgeKind.GITHUB))
    assert choose(broken, order, is_recorded=True) == "none"
    for asked, is_recorded in ((order, False), (forged, True), (forged, False)):
        with pytest.raises(GatewrightError) as caught:
            choose(broken, asked, is_recorded=is_recorded)
        assert caught.value.code.startswith("GW-SANDBOX-")


async def test_without_a_jail_the_record_says_so(stage: Stage) -> None:
    stage.site = Site(replace(stage.settings, sandbox=replace(stage.settings.sandbox, mode="none-i-accept-the-risk")))
    stage.record(coding=CODED)
    reports = await stage.perform(stage.order(Step.CODING))
    assert reports.end["outcome"] == "ok", reports.explanation()
    assert reports.data("gate")["result"] == "none"


NO_NAMESPACES = """#!/bin/sh
# The real bubblewrap where no more user namespaces may be made, as a sysctl of a hardened machine has it.
exec unshare -Ur /bin/sh -c 'echo 0 >/proc/sys/user/max_user_namespaces; exec /usr/bin/bwrap "$@"' sh "$@"
"""


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is searched for programs before the machine's, by the jail's user as well."""
    folder = Path(tempfile.mkdtemp(prefix="gw-bin-"))
    folder.chmod(0o755)
    monkeypatch.setattr(launch, "PATH", f"{folder}:{launch.PATH}")
    yield folder
    shutil.rmtree(folder)


async def refused(stage: Stage, **sandbox: object) -> str:
    """Order code from a model that is no recording and wants a command run, and read why the attempt ended."""
    steps = [Model(tools=(Tool("run", {"command": "touch ran"}),)), Model(text="Done.")]
    async with ModelServer(Script(steps)) as server:
        table = replace(stage.settings.sandbox, **sandbox)
        ollama = {"ollama": ProviderTable(base_url=server.url, api_key=REAL_KEY)}
        stage.site = Site(replace(stage.settings, sandbox=table, providers=ollama), stage.site.slot)
        reports = await stage.perform(stage.order(Step.CODING, model="ollama:qwen3:14b"))
    assert reports.end["outcome"] == "fail"
    assert server.requests == server.refused == [], "no model was asked"
    assert not reports.of("model.call")
    assert not stage.head(), "nothing was made"
    return f"{reports.end['data']['code']} {reports.explanation()}"


async def test_without_bubblewrap_a_task_blocks_and_says_what_to_install(
    stage: Stage, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "PATH", str(programs))
    said = await refused(stage)
    assert said.startswith("GW-SANDBOX-MISSING ")
    assert "apt install bubblewrap" in said


async def test_without_user_namespaces_a_task_blocks_with_bubblewraps_reason(stage: Stage, programs: Path) -> None:
    program(programs / "bwrap", NO_NAMESPACES)
    said = await refused(stage)
    assert said.startswith("GW-SANDBOX-START "), said
    assert "namespace" in said.casefold()
    assert "gatewright doctor" in said


FAILING = """#!/bin/sh
echo 'bwrap: Creating new namespace failed: Operation not permitted' >&2
exit 1
"""
COUNTING = """#!/bin/sh
echo started >>{log}
exec /usr/bin/bwrap "$@"
"""


def program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


async def test_a_bubblewrap_that_fails_blocks_a_task_with_its_own_words(stage: Stage, programs: Path) -> None:
    program(programs / "bwrap", FAILING)
    said = await refused(stage)
    assert said.startswith("GW-SANDBOX-START "), said
    assert "bwrap: Creating new namespace failed: Operation not permitted" in said


def test_a_worker_tries_once_and_again_when_the_machine_has_changed(stage: Stage, programs: Path) -> None:
    log = programs / "log"
    log.touch()
    log.chmod(0o666)
    order, table = stage.order(Step.CODING), stage.settings
    program(programs / "bwrap", FAILING)
    with capture_logs() as logged:
        try_out(table)
    assert [(entry["event"], entry["code"]) for entry in logged] == [("sandbox.unfit", "GW-SANDBOX-START")]
    with pytest.raises(GatewrightError):
        choose(table, order, is_recorded=False)
    program(programs / "bwrap", COUNTING.format(log=log))  # somebody has mended it, and the worker lives on
    assert {choose(table, order, is_recorded=False) for _ in range(5)} == {"bwrap"}
    assert log.read_text() == "started\n"
    program(programs / "bwrap", FAILING)
    with pytest.raises(GatewrightError):
        choose(table, order, is_recorded=False)


async def test_without_its_root_file_system_a_task_blocks_and_names_it(stage: Stage) -> None:
    said = await refused(stage, rootfs="/nothing/there")
    assert said.startswith("GW-SANDBOX-ROOTFS ")
    assert "/nothing/there" in said


async def test_without_a_toolchain_of_the_settings_a_task_blocks_and_names_it(stage: Stage) -> None:
    said = await refused(stage, binds=("/nothing/jdk",))
    assert said.startswith("GW-SANDBOX-BIND ")
    assert "/nothing/jdk" in said
