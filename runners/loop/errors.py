"""How a tool says no, and how a server says that it takes none."""

from __future__ import annotations


class ToolFault(Exception):
    """A call that could not be carried out; its text goes to the model and says what to do instead."""


class ToolsRefused(Exception):
    """A server that takes no native tools for this model: the loop goes on with calls written as text."""
