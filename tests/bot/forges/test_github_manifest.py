"""The App manifest asks for what the code needs, and for nothing else."""

from __future__ import annotations

import json
from pathlib import Path

from bot.forges.github_events import HAPPENINGS
from tests.conftest import ROOT
from tests.simulators.github.world import APP_PERMISSIONS

MANIFEST = json.loads((Path(ROOT) / "deploy" / "github-app.json").read_text())


def test_it_subscribes_to_every_event_we_act_on() -> None:
    assert sorted(MANIFEST["default_events"]) == sorted({event for event, _ in HAPPENINGS})


def test_its_permissions_are_those_the_tests_run_with() -> None:
    assert MANIFEST["default_permissions"] == APP_PERMISSIONS


def test_nobody_else_can_install_it() -> None:
    assert MANIFEST["public"] is False
