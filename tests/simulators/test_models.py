"""The scripted model as a program of its own, spoken to by the vendors' wire."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx

from tests.simulators.models.server import REAL_KEY

ROOT = Path(__file__).resolve().parents[2]


def test_the_program_plays_a_script_for_the_real_key_only(tmp_path: Path) -> None:
    script, log = tmp_path / "script.json", tmp_path / "log.jsonl"
    script.write_text(json.dumps([{"text": "two", "when": "second"}, {"text": "one"}, {"status": 529}]))
    argv = [sys.executable, "-m", "tests.simulators.models", "--script", str(script), "--port", "0", "--log", str(log)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ}) as program:
        assert program.stdout
        url = program.stdout.readline().strip()
        try:
            with httpx.Client(base_url=url, headers={"x-api-key": REAL_KEY}) as client:
                ask = {"model": "m", "messages": [{"role": "user", "content": "first"}]}
                refused = client.post("/v1/messages", json=ask, headers={"x-api-key": "other"})
                first = client.post("/v1/messages", json=ask).json()
                second = client.post(
                    "/v1/chat/completions", json=ask | {"messages": ["second"]},
                    headers={"authorization": f"Bearer {REAL_KEY}", "x-api-key": ""},
                ).json()  # fmt: skip
                third = client.post("/v1/messages", json=ask)
                fourth = client.post("/v1/messages", json=ask)
        finally:
            program.terminate()
    assert refused.status_code == 401
    assert first["content"][0]["text"] == "one"
    assert second["choices"][0]["message"]["content"] == "two"
    assert (third.status_code, fourth.status_code) == (529, 400)
    assert "exhausted" in fourth.text
    assert len(log.read_text().splitlines()) == 4
    assert program.returncode == 0
