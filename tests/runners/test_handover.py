from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bot.model.errors import UsageError
from bot.settings import ProviderTable, Settings
from runners.handover import VARIABLE, Handover, offer, take


def test_what_is_offered_is_taken_as_often_as_there_are_work_horses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    given = Handover(Settings(providers={"claude": ProviderTable(api_key="k")}), slot=3)
    descriptor = offer(given)
    assert take() == given
    assert take() == given
    os.close(descriptor)


def test_no_program_that_is_started_inherits_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    descriptor = offer(Handover(Settings()))
    code = f"import os\ntry:\n    os.fstat({descriptor})\nexcept OSError:\n    print('closed')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, close_fds=False)
    assert done.stdout == "closed\n"
    os.close(descriptor)


def test_a_job_outside_a_worker_says_how_workers_are_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(UsageError, match="GW-WORKER-HANDOVER"):
        take()
