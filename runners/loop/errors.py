"""How a tool says no."""

from __future__ import annotations


class ToolFault(Exception):
    """A call that could not be carried out; its text goes to the model and says what to do instead."""
