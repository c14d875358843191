"""Run the benches and print one report: `python -m tests.bench [name ...]`.

Some minutes; a name runs one alone. Figures stand beside their aims; none fails the
run, because how busy the machine is decides too: read ratios first, and repeat what looks odd.
"""

from __future__ import annotations

import argparse
import importlib
import platform
import time

from tests.bench.figures import Figure, machine, table

BENCHES = {
    "startup": "the command line from start to end",
    "ingest": "a signed delivery, the web process",
    "journal": "append, fold, verify",
    "evidence": "verify and append, beside pymerkle and git fsck",
    "queue": "enqueue to start",
    "workspace": "a tree of 50,000 files for each task",
    "loop": "a step of our tool loop",
    "sandbox": "the start of the jail",
    "setup": "the [setup] of a repository, made and kept",
    "gateway": "a model call through the gateway",
    "runtimes": "one answer out of each agent runtime",
    "label": "label to spec comment",
}


def main() -> None:
    """Run what was named, or all."""
    known = "; ".join(f"{name}: {about}" for name, about in BENCHES.items())
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=known)
    parser.add_argument("name", nargs="*", choices=[[], *BENCHES], metavar="name", help=", ".join(BENCHES))
    names = parser.parse_args().name or BENCHES
    began = time.monotonic()
    print(f"Python {platform.python_version()} on {platform.system()} {platform.machine()}; {machine()}\n")
    figures: list[Figure] = []
    for name in names:
        figures += importlib.import_module(f"tests.bench.{name}").run()
        print()
    print(table(figures))
    print(f"\n{time.monotonic() - began:.0f} s; {machine()}. Other work on this machine widens all of it.")


if __name__ == "__main__":
    main()
