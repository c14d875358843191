"""What was only thought is no part of an answer."""

from __future__ import annotations

import pytest

from runners.loop.thinking import spoken


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<think>\nhm {\n</think>\n\nDone.", "Done."),
        ("<think></think><think>again</think>Done.", "Done."),
        ("[THINK]hm[/THINK]Done.", "Done."),
        ("I wonder.\n</think>\n\nDone.", "Done."),
        ("<think>\nand so on for ever", ""),
        ("<think>one</thinking>two", ""),
        ("# Spec\n\nStrip `</think>` tags.\n", "# Spec\n\nStrip `</think>` tags.\n"),
        ("Such as\n<think>\nhm\n</think>\nin the text.", "Such as\n<think>\nhm\n</think>\nin the text."),
        ("  Done.\n", "  Done.\n"),
        ("", ""),
    ],
)
def test_thinking_is_left_out_and_nothing_else(text, said):
    assert spoken(text) == said
