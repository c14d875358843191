from __future__ import annotations

import io
import json
import logging

import pytest
import structlog

from bot import logs
from tests.bot.audit.samples import TOKENS


@pytest.fixture
def lines():
    stream = io.StringIO()
    logs.structured("control", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.reset_defaults()
    logging.basicConfig(force=True, handlers=[])


def test_a_line_is_one_json_document_with_ecs_names(lines):
    structlog.get_logger("t").warning("attempt.lost", task="42-k7f3qd", attempt=3)
    (line,) = lines()
    assert line["message"] == "attempt.lost"
    assert line["log.level"] == "warning"
    assert line["gatewright.task"] == "42-k7f3qd"
    assert line["service.name"] == "gatewright-control"
    assert line["@timestamp"].endswith("Z")


def test_a_traceback_never_shows_local_variables(lines):
    api_key = "sk-ant-not-for-logs"
    try:
        raise ValueError(str(len(api_key)))
    except ValueError:
        structlog.get_logger("t").exception("control.bug")
    assert "ValueError" in lines()[0]["exception"]
    assert api_key not in json.dumps(lines())


def test_what_libraries_log_comes_out_in_the_same_shape(lines):
    logging.getLogger("somebody.else").warning("abandoned %s", "job")
    (line,) = lines()
    assert (line["message"], line["logger"]) == ("abandoned job", "somebody.else")


def test_no_secret_gets_into_a_line_of_ours_or_of_a_library(lines):
    token = TOKENS["gitlab personal"]
    structlog.get_logger("t").warning(
        "forge.write", why=f"401 for {token}", rows=[{"url": "https://u:hunter2hunter2@h"}]
    )
    logging.getLogger("somebody.else").warning("asked with %s", token)
    try:
        raise ValueError(f"not {token}")
    except ValueError:
        structlog.get_logger("t").exception("control.bug")
        logging.getLogger("somebody.else").exception("bug")
    assert token not in json.dumps(lines())
    assert "hunter2" not in json.dumps(lines())
    assert len([line for line in lines() if "[redacted:gitlab-token]" in json.dumps(line)]) == 4


@pytest.mark.parametrize("is_terminal", [True, False])
def test_what_the_settings_hold_is_cut_out_at_a_terminal_too(is_terminal):
    class Stream(io.StringIO):
        def isatty(self):
            return is_terminal

    stream = Stream()
    logs.structured("control", stream, secrets=["plain-word"])
    structlog.get_logger("t").warning("said plain-word", why=ValueError("plain-word").args)
    logging.getLogger("somebody.else").warning("plain-word")
    structlog.reset_defaults()
    logging.basicConfig(force=True, handlers=[])
    assert "plain-word" not in stream.getvalue()
    assert stream.getvalue().count("[redacted:secret]") == 3
