"""Print docs/commands.md from the table of verbs: `python -m bot.reports.commands_page > docs/commands.md`."""

from __future__ import annotations

import sys

from bot.model.manners import Manners
from bot.model.state import State
from bot.model.verbs import CATALOGUE
from bot.reports.render import environment, tidy
from bot.reports.words import Words


def commands_page() -> str:
    """Write the page; a test compares it with the committed one."""
    states = [(state, [row.verb for row in CATALOGUE if state in row.where]) for state in State]
    page = environment().get_template("commands_page.md.j2")
    return tidy(page.render(rows=CATALOGUE, states=states, say=Words(Manners()).say)) + "\n"


if __name__ == "__main__":
    sys.stdout.write(commands_page())
