"""What verbs of the command line share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

PLAIN: Final[dict[str, Any]] = {"rich_markup_mode": None, "pretty_exceptions_enable": False, "no_args_is_help": True}
Config = Annotated[Path | None, typer.Option("--config", help="Settings file; else GATEWRIGHT_CONFIG.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Model = Annotated[str, typer.Option("--model", help="Model string for all phases, such as sonnet.")]
Profile = Annotated[
    str, typer.Option("--profile", help="Name in [profiles], or a JSON file that ends in .json: docs/providers.md.")
]
