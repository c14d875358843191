"""In what forges differ towards people; each forge's own file says which it has."""

from __future__ import annotations

import msgspec


class Manners(msgspec.Struct, frozen=True):
    """How people and their comments are met on one forge; the defaults are those of most."""

    takes_bare: bool = True  # `/approve` reaches us; False where the forge carries such lines out itself
    change_word: str = "pull request"
    quote_fence: str = ""  # a line that opens and closes a quotation, where the forge's Markdown knows one
    native_names_commit: bool = True  # an approval by the forge's own button says of which commit it is
    owners_files: tuple[str, ...] = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")  # the first that exists
    owners_in_sections: bool = False  # code owners stand in sections, each of which asks for its own
    owners_may_be_groups: bool = False  # `@name` may be a group as well as a person
