"""In what forges differ towards people; each forge's own file says which it has."""

from __future__ import annotations

import msgspec


class Manners(msgspec.Struct, frozen=True):
    """How people and their comments are met on one forge; the defaults are those of most."""

    takes_bare: bool = True  # `/approve` reaches us; False where the forge carries such lines out itself
    change_word: str = "pull request"
    quote_fence: str = ""  # a line that opens and closes a quotation, where the forge's Markdown knows one
