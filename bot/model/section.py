"""One table of settings: frozen, and strict about its keys."""

from __future__ import annotations

import msgspec


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every table; descriptions of its keys become docs/configuration.md."""
