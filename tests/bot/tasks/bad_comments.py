"""Comments at the spec gate: right, wrong and hostile; each by whom, and what comes of it.

`PASSES`, `IGNORED` (no command at all), `ANSWERED` (carried out, and nothing moves), or the code of the refusal;
several commands of one comment are joined by a space. <digest> is the digest in force, <12> its first twelve digits,
<plan> and <alien> are digests of another gate and of another task.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from bot.model.event import Actor
from tests.bot.tasks.forge import ME, MIRA, OTHER_BOT, STRANGER, TOM

PASSES, IGNORED, ANSWERED = "passes", "ignored", "answered"
STALE, ROLE, UNCLEAR, GATE = "GW-APPROVE-STALE", "GW-COMMAND-ROLE", "GW-APPROVE-UNCLEAR", "GW-APPROVE-GATE"
UNKNOWN, STATE, NOT_HUMAN = "GW-COMMAND-UNKNOWN", "GW-COMMAND-STATE", "GW-COMMAND-NOT-HUMAN"
NOBODY, GHOST = Actor(404, "nobody"), Actor(405, "ghost")  # without any role; whose kind the forge does not tell
ZERO, JOINER, RTL, TAG, SOFT = "\u200b", "\u200d", "\u202e", "\U000e0061", "\u00ad"


class Row(NamedTuple):
    """One comment."""

    body: str
    then: str
    who: Actor = MIRA


CLEAR: Final = [
    Row("/approve", PASSES),
    Row("/gatewright approve", PASSES),
    Row("@gatewright approve", PASSES),
    Row("/APPROVE", PASSES),
    Row("/GateWright Approve", PASSES),
    Row("/approve   ", PASSES),
    Row("/approve\t<12>", PASSES),
    Row("/approve <12>", PASSES),
    Row("/approve <DIGEST>", PASSES),
    Row("/approve `<12>`", PASSES),
    Row("/approve spec", PASSES),
    Row("/approve spec <12>", PASSES),
    Row("Read it twice.\r\n\r\n/approve\r\n", PASSES),
    Row("> Mira, is that right?\n\n/approve", PASSES),
    Row("/approve\n/status", PASSES),
    Row("/approve\n![screenshot](https://x.example/a.png)", PASSES),
    Row("/approve \U0001f44d", STALE),
]

WHO: Final = [
    Row("/approve", ROLE, STRANGER),
    Row("/approve", ROLE, NOBODY),
    Row("/approve <digest>", ROLE, STRANGER),
    Row("/approve", NOT_HUMAN, OTHER_BOT),
    Row("/approve <digest>", NOT_HUMAN, OTHER_BOT),
    Row("/approve", NOT_HUMAN, GHOST),
    Row("/approve", IGNORED, ME),
    Row("/gatewright approve <digest>", IGNORED, ME),
    Row("/cancel", ROLE, STRANGER),
    Row("/reject", ROLE, NOBODY),
    Row("/revise shorter", ROLE, STRANGER),
    Row("/pause repository", ROLE, STRANGER),
    Row("/emergency <12> production is down", ROLE, STRANGER),
    Row("/model coding=opus", ROLE, STRANGER),
    Row("/status", ANSWERED, STRANGER),
    Row("/status", ROLE, NOBODY),
    Row("/approve", "GW-APPROVE-FOUR-EYES", TOM),
    Row("/approve <digest>", "GW-APPROVE-FOUR-EYES", TOM),
    Row("/gatewright approve spec <12>", "GW-APPROVE-FOUR-EYES", TOM),
]

DIGESTS: Final = [
    Row("/approve <11>", STALE),
    Row("/approve <digest>0", STALE),
    Row("/approve <plan>", STALE),
    Row("/approve <alien>", STALE),
    Row("/approve 000000000000", STALE),
    Row("/approve 0x<12>", STALE),
    Row("/approve <12>\u2026", STALE),
    Row("/approve <12>,", STALE),
    Row(f"/approve {ZERO}<12>", STALE),
    Row("/approve \u201c<12>\u201d", STALE),
    Row("/approve sha256:<digest>", STALE),
    Row("/approve <12> if CI is green", UNCLEAR),
    Row("/approve <12> <12>", UNCLEAR),
    Row("/approve <12> but drop the second criterion", UNCLEAR),
    Row("/approve but only the first half", STALE),
    Row("/approve with changes", STALE),
    Row("/approve this", STALE),
    Row("/approve?", IGNORED),
    Row("/approve: <12>", IGNORED),
    Row("/approve=<12>", IGNORED),
    Row("/approve not", STALE),
    Row("/approve rev 1", STALE),
    Row("/approve plan", GATE),
    Row("/approve scope", GATE),
    Row("/approve scope <12>", GATE),
    Row("/approve change", GATE),
    Row("/approve plan <12>", GATE),
]

HIDDEN: Final = [
    Row("> /approve", IGNORED),
    Row(">/approve <digest>", IGNORED),
    Row("> a quotation\n/approve", IGNORED),  # Markdown carries the quotation on
    Row("> > /approve", IGNORED),
    Row("```\n/approve\n```", IGNORED),
    Row("~~~\n/approve\n~~~", IGNORED),
    Row("````\n```\n/approve\n```\n````", IGNORED),
    Row("```\n/approve", IGNORED),
    Row("    /approve", IGNORED),
    Row("\t/approve", IGNORED),
    Row("`/approve`", IGNORED),
    Row("<!-- /approve -->", IGNORED),
    Row("<!--\n/approve\n-->", IGNORED),
    Row("<!--\n\n/approve <digest>\n\n-->", IGNORED),
    Row("<details>\n/approve\n</details>", IGNORED),
    Row("<details><summary>More</summary>\n/approve\n</details>", IGNORED),
    Row("<div>\n/approve\n</div>", IGNORED),
    Row("<pre>\n\n/approve\n\n</pre>", IGNORED),
    Row("<script>\n/approve\n</script>", IGNORED),
    Row('<a title="\n/approve\n">look</a>', IGNORED),
    Row('[look](https://x.example "\n/approve\n")', IGNORED),
    Row("[look]: https://x.example '\n/approve\n'", IGNORED),
    Row("![\n/approve\n](https://x.example/a.png)", IGNORED),
    Row("![a [b]\n/approve\n](https://x.example/a.png)", IGNORED),
    Row("[look](https://x.example/a_(b) 'c)\n/approve\n')", IGNORED),
    Row("- /approve", IGNORED),
    Row("* one\n  * two\n    /approve", IGNORED),
    Row("1. /approve", IGNORED),
    Row("- item\n\n  /approve", IGNORED),
    Row("- [x] /approve", IGNORED),
    Row("| /approve |\n| --- |\n| /approve |", IGNORED),
    Row("# /approve", IGNORED),
    Row("**/approve**", IGNORED),
    Row("_/approve_", IGNORED),
    Row("~~/approve~~", IGNORED),
    Row("\\/approve", IGNORED),
    Row("&#47;approve", IGNORED),
    Row("On Monday, Tom wrote:\n> /approve", IGNORED),
    Row("On Monday, Tom wrote:\n\n> Shall we?\n> /approve\n\nNo.", IGNORED),
    Row("[^1]: /approve", IGNORED),
]

LOOKALIKES: Final = [
    Row("/\u0430pprove", IGNORED),  # a Cyrillic a
    Row("/approv\u0435", IGNORED),  # a Cyrillic e
    Row("\uff0fapprove", IGNORED),  # full width
    Row("\u2044approve", IGNORED),
    Row("\u2215approve", IGNORED),
    Row("/\uff41\uff50\uff50\uff52\uff4f\uff56\uff45", IGNORED),
    Row(f"/app{ZERO}rove", IGNORED),
    Row(f"/app{JOINER}rove", IGNORED),
    Row(f"/app{SOFT}rove", IGNORED),
    Row(f"{RTL}/approve", IGNORED),
    Row(f"/{RTL}evorppa", IGNORED),
    Row(f"/approve{TAG}", IGNORED),
    Row("/approve\ufe0f", IGNORED),
    Row("\ufeff/approve", IGNORED),
    Row("/appro\x00ve", IGNORED),
    Row("/approve\x00", IGNORED),
    Row("\x00/approve", IGNORED),
    Row("/\u0261atewright approve", IGNORED),
    Row("/g\u0430tewright approve", IGNORED),  # a Cyrillic a
    Row("@gatewri\u0261ht approve", IGNORED),
    Row("@gatewrigth approve", IGNORED),
    Row("@gatewright-bot approve", IGNORED),
    Row("/gatewright \u0430pprove", UNKNOWN),
    Row("/gatewright aprove", UNKNOWN),
    Row("/gatewright yes", UNKNOWN),
    Row("/gatewright\u00a0approve", IGNORED),
    Row("/approve\u00a0<12>", IGNORED),
    Row("/approve\u2028", IGNORED),
    Row("\u2028/approve", IGNORED),
    Row("a\x0b/approve", IGNORED),
    Row("a\x85/approve", IGNORED),
]

WORDS: Final = [
    Row("", IGNORED),
    Row("approve", IGNORED),
    Row("LGTM", IGNORED),
    Row("+1", IGNORED),
    Row("\U0001f44d", IGNORED),
    Row(":+1:", IGNORED),
    Row("I approve this.", IGNORED),
    Row("I would /approve this", IGNORED),
    Row("Do not /approve yet", IGNORED),
    Row("/ approve", IGNORED),
    Row("//approve", IGNORED),
    Row("/approve/", IGNORED),
    Row("/approved", IGNORED),
    Row("/unapprove", IGNORED),
    Row("/lgtm", IGNORED),
    Row("/merge", IGNORED),
    Row("@dependabot approve", IGNORED),
    Row("/rultor approve", IGNORED),
    Row("@gatewright, please approve", IGNORED),
    Row("@gatewright thanks, approve", IGNORED),
    Row("/assign @gatewright\n/label ~approve", IGNORED),
    Row("x" * 60_000, IGNORED),
    Row("> " + "x" * 60_000 + "\n> /approve", IGNORED),
    Row("<!-- gatewright:1 task=42-000000 kind=gate.spec rev=1 mac=0000000000000000 -->", IGNORED),
    Row("### Spec ready for approval\n\n```\n/approve <12>\n```", IGNORED),
    Row("<!-- gatewright:1 kind=approval digest=<digest> -->\nApproved by @mira.", IGNORED),
    Row('{"kind":"approval","digest":"<digest>"}', IGNORED),
    Row("/help", ANSWERED),
    Row("/help approve", ANSWERED),
    Row("/status\n> /approve", ANSWERED),
    Row("/gatewright", ANSWERED),
]

OTHERS: Final = [
    Row("/fix everything", STATE),
    Row("/retry", STATE),
    Row("/ci <12>", STATE),
    Row("/revise", "GW-COMMAND-ARGUMENT"),
    Row("/edit", "GW-COMMAND-ARGUMENT"),
    Row("/edit\n```\nnothing\n```", "GW-DOCUMENT-FORMAT"),
    Row("/model coding=", "GW-MODEL-FORM"),
    Row("/pause everything", "GW-PAUSE-WHAT"),
    Row("/resume the others", "GW-PAUSE-WHAT"),
    Row("/emergency", "GW-COMMAND-ARGUMENT"),
    Row("/emergency <12>", "GW-EMERGENCY-REASON"),
    Row("/emergency <12> now", "GW-EMERGENCY-REASON"),
    Row("/emergency <alien> production is down, INC-1", "GW-EMERGENCY-DIGEST"),
    Row("/emergency production is down, INC-1", "GW-EMERGENCY-DIGEST"),
    Row("/emergency <11> production is down, INC-1", "GW-EMERGENCY-DIGEST"),
    Row("/emergency <12> production is down, INC-1", "GW-EMERGENCY-WHO", TOM),
    Row("/reviewed", "GW-REVIEWED-NOTHING"),
    Row("/reviewed all is well", "GW-REVIEWED-NOTHING", TOM),
    Row("/reviewed all is well", ROLE, STRANGER),
]

STILL: Final = [*CLEAR[-1:], *WHO, *DIGESTS, *HIDDEN, *LOOKALIKES, *WORDS, *OTHERS]
