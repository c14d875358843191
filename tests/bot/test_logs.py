from __future__ import annotations

import io
import json
import logging

import pytest
import structlog

from bot import logs


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
