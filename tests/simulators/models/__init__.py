"""Scripted model APIs on loopback: every wire that the gateway speaks, as real HTTP programs."""

from tests.simulators.models.script import Script, Step, Tool
from tests.simulators.models.server import ModelServer

__all__ = ["ModelServer", "Script", "Step", "Tool"]
