"""What a bench hands back, and how it is shown: a figure beside its aim, and how busy the machine was."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

TICK = 1_000_000 / os.sysconf("SC_CLK_TCK")  # microseconds


class Figure(msgspec.Struct, frozen=True):
    """One measured value; `aim` is the most it should be, or with `more` the least, None where there is none."""

    name: str
    value: float
    unit: str
    aim: float | None = None
    more: bool = False
    note: str = ""

    @property
    def verdict(self) -> str:
        """Say whether the aim was reached."""
        if self.aim is None:
            return ""
        return "met" if (self.value >= self.aim if self.more else self.value <= self.aim) else "MISSED"


def table(figures: Iterable[Figure]) -> str:
    """Write figures with their aims."""
    rows = [("", "figure", "aim", "", "")]
    for each in figures:
        aim = "" if each.aim is None else f"{'>=' if each.more else '<='} {_number(each.aim)}"
        rows.append((each.name, f"{_number(each.value)} {each.unit}", aim, each.verdict, each.note))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    form = "  ".join(f"{{:{width}}}" for width in widths) + "  {}"
    return "\n".join(form.format(*row).rstrip() for row in rows)


def percentiles(values: Sequence[float]) -> tuple[float, float]:
    """Read p50 and p95."""
    return statistics.median(values), sorted(values)[max(0, -(-len(values) * 95 // 100) - 1)]


def machine() -> str:
    """Say how many cores there are and how busy they were in the last minute."""
    load = os.getloadavg()[0]
    return f"{len(os.sched_getaffinity(0))} cores, load {load:.1f}"


def cpu_us(pid: int) -> float:
    """Read the user and system time of a process, in microseconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK


def pss_mb(pid: int) -> float:
    """Read a process' proportional share of memory."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no Pss in smaps_rollup")


def _number(value: float) -> str:
    if value >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
