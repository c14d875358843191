"""What of a text a model gets to see; pure."""

from __future__ import annotations

from typing import Final

MAX_LINE: Final = 2_000  # characters of one line of a file
NOTE: Final = 60  # bytes that the note of a cut may take


def bounded(text: str, limit: int) -> str:
    """Keep the head and the tail of what is longer than `limit` bytes, and say how much is missing between."""
    raw = text.encode(errors="replace")
    if len(raw) <= limit:
        return text
    room = max(0, limit - NOTE)
    head, tail = raw[: room * 3 // 5], raw[len(raw) - room * 2 // 5 :]
    cut = len(raw) - len(head) - len(tail)
    return f"{head.decode(errors='ignore')}\n[... {cut:,} bytes left out ...]\n{tail.decode(errors='ignore')}"


def numbered(text: str, first: int, count: int, limit: int) -> str:
    """Show lines from `first` (from 1) with their numbers, at most `count` lines or `limit` bytes; say how to go on."""
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    if not lines:
        return "[the file is empty]"
    if first > len(lines):
        return f"[the file has only {len(lines)} lines]"
    shown: list[str] = []
    size = 0
    for number, line in enumerate(lines[first - 1 : first - 1 + count], first):
        entry = f"{number:>6}\t{_cut(line)}"
        size += len(entry.encode(errors="replace")) + 1
        if size > limit and shown:
            break
        shown.append(entry)
    after = first + len(shown)
    if after <= len(lines):
        shown.append(f"[lines {first} to {after - 1} of {len(lines)}; go on with offset={after}]")
    return "\n".join(shown)


def _cut(line: str) -> str:
    text = line.removesuffix("\r")
    return text if len(text) <= MAX_LINE else f"{text[:MAX_LINE]} [{len(text) - MAX_LINE:,} characters cut]"
