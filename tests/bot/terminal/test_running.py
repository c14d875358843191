"""Ctrl-C ends a command once, in good order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT

PROGRAM = """
import asyncio, os, signal, sys, time
from bot.terminal import running
async def main():
    try:
        print("up", flush=True)
        {work}
    finally:
        await asyncio.sleep(0.3)
        print("clean", flush=True)
    return 7
code = running.run(main(), lambda: print("stopping", flush=True))
print("code", code, flush=True)
"""


def run(work: str, *signals: int) -> list[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(work=work)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout
    first = process.stdout.readline()
    for number in signals:
        time.sleep(0.1)
        process.send_signal(number)
    rest, _ = process.communicate(timeout=20)
    return [first.strip(), *rest.split("\n")[:-1]]


def test_a_command_that_ends_by_itself_answers_with_its_code():
    assert run("pass") == ["up", "clean", "code 7"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_130_after_its_clean_up(number):
    assert run("await asyncio.sleep(20)", number) == ["up", "stopping", "clean", "code 130"]


def test_a_second_signal_does_not_disturb_the_clean_up():
    assert run("await asyncio.sleep(20)", *[signal.SIGINT] * 3) == ["up", "stopping", "clean", "code 130"]


def test_a_thread_is_waited_for_before_the_clean_up():
    said = run("await running.through(lambda: (time.sleep(1), print('thread', flush=True)))", signal.SIGINT)
    assert said == ["up", "stopping", "thread", "clean", "code 130"]


def test_ctrl_c_for_an_editor_is_not_for_us():
    inside = "running._Ears.is_deaf = True; os.kill(os.getpid(), signal.SIGINT); await asyncio.sleep(0.2)"
    assert run(inside) == ["up", "clean", "code 7"]


def test_signals_are_as_before_afterwards():
    from bot.terminal import running

    async def nothing() -> int:
        return os.EX_OK

    def mine(number: int, frame: object) -> None:
        """Stand for whatever was set before."""

    before = signal.signal(signal.SIGTERM, mine)
    try:
        assert running.run(nothing()) == 0
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)
