"""Tokens that tell by their own shape what they are, as those who hand them out describe them."""

from __future__ import annotations

import re
from typing import Final

from bot.audit.redact_form import END, START, Form, is_drawn, is_live

# Kind, what it begins with, and the rest; `{16,}+` gives nothing back, so no text makes it search twice.
SHAPES: Final[tuple[tuple[str, str, str], ...]] = (
    ("github-token", "ghp_ gho_ ghu_ ghr_", r"gh[pour]_[A-Za-z0-9]{30,}+"),
    ("github-token", "ghs_", r"ghs_[A-Za-z0-9_.-]{30,}+"),  # those of apps may be a JWT
    ("github-token", "github_pat_", r"github_pat_[A-Za-z0-9_]{20,}+"),
    ("gitlab-token", "glpat- glptt- gldt- glrt- glrtr- glcbt- glft- glsoat- glimt- glagent- gloas- glffct- glwt-",
     r"gl(?:pat|ptt|dt|rt|rtr|cbt|ft|soat|imt|agent|oas|ffct|wt)-[A-Za-z0-9_.-]{16,}+"),
    ("gitlab-token", "GR1348941", r"GR1348941[A-Za-z0-9_-]{20,}+"),
    ("anthropic-key", "sk-ant-", r"sk-ant-[A-Za-z0-9_-]{16,}+"),
    ("openai-key", "sk-proj- sk-svcacct- sk-admin- sk-or-v1- sk-None-",
     r"sk-(?:proj|svcacct|admin|or-v1|None)-(?=[A-Za-z_-]{0,128}[0-9])[A-Za-z0-9_-]{20,}+"),
    ("openai-key", "sk-", r"sk-(?=[A-Za-z]{0,64}[0-9])[A-Za-z0-9]{20,}+"),
    ("google-key", "AIza", r"AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
    ("google-token", "ya29.", r"ya29\.[A-Za-z0-9_-]{30,}+"),
    ("google-secret", "GOCSPX-", r"GOCSPX-[A-Za-z0-9_-]{24,}+"),
    ("xai-key", "xai-", r"xai-[A-Za-z0-9]{60,}+"),
    ("huggingface-token", "hf_", r"hf_[A-Za-z0-9]{30,}+" + END.decode()),
    ("huggingface-token", "api_org_", r"api_org_[A-Za-z]{34}" + END.decode()),
    ("groq-key", "gsk_", r"gsk_[A-Za-z0-9]{40,}+" + END.decode()),
    ("replicate-token", "r8_", r"r8_[A-Za-z0-9]{37,40}" + END.decode()),
    ("perplexity-key", "pplx-", r"pplx-[A-Za-z0-9]{40,}+"),
    ("nvidia-key", "nvapi-", r"nvapi-[A-Za-z0-9_-]{50,}+"),
    ("together-key", "tgp_v1_", r"tgp_v1_[A-Za-z0-9_-]{40,}+"),
    ("aws-key", "AKIA ASIA", r"A[KS]IA[A-Z2-7]{16}(?![A-Za-z0-9])"),
    ("bedrock-key", "ABSK", r"ABSK[A-Za-z0-9+/]{100,}+=*+"),
    ("slack-token", "xoxa xoxb xoxc xoxd xoxe xoxo xoxp xoxr xoxs", r"xox[a-eoprs](?:\.xox[bp])?-[A-Za-z0-9%-]{10,}+"),
    ("slack-token", "xapp-", r"xapp-[A-Za-z0-9-]{10,}+"),
    ("stripe-key", "sk_live_ sk_test_ rk_live_ rk_test_", r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,}+"),
    ("webhook-secret", "whsec_", r"whsec_[A-Za-z0-9+/=]{16,}+"),
    ("sendgrid-key", "SG.", r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64}(?![A-Za-z0-9_-])"),
    ("npm-token", "npm_", r"npm_[A-Za-z0-9]{36}" + END.decode()),
    ("pypi-token", "pypi-AgE", r"pypi-AgE[A-Za-z0-9_-]{50,}+"),
    ("rubygems-key", "rubygems_", r"rubygems_[0-9a-f]{48}" + END.decode()),
    ("docker-token", "dckr_pat_ dckr_oat_", r"dckr_[op]at_[A-Za-z0-9_-]{20,}+"),
    ("digitalocean-token", "dop_v1_ doo_v1_ dor_v1_", r"do[opr]_v1_[0-9a-f]{64}" + END.decode()),
    ("databricks-token", "dapi", r"dapi[0-9a-f]{32}(?:-[0-9])?" + END.decode()),
    ("vault-token", "hvs. hvb. hvr.", r"hv[sbr]\.[A-Za-z0-9_-]{24,}+"),
    ("atlassian-token", "ATATT3 ATCTT3 ATBB",
     r"AT(?:ATT3|CTT3)[A-Za-z0-9_=-]{50,}+|ATBB[A-Za-z0-9]{32}" + END.decode()),
    ("grafana-token", "glsa_ glc_", r"glsa_[A-Za-z0-9]{32}_[0-9a-fA-F]{8}(?![A-Za-z0-9_])|glc_[A-Za-z0-9+/]{32,}+=*+"),
    ("shopify-token", "shpat_ shpca_ shppa_ shpss_", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}" + END.decode()),
    ("linear-key", "lin_api_", r"lin_api_[A-Za-z0-9]{40}" + END.decode()),
    ("notion-token", "ntn_", r"ntn_[A-Za-z0-9]{40,}+"),
    ("sentry-token", "sntrys_ sntryu_", r"sntry[su]_[A-Za-z0-9+/=_-]{40,}+"),
    ("tailscale-key", "tskey-", r"tskey-[a-z]{1,16}-[A-Za-z0-9]{8,}+-[A-Za-z0-9]{16,}+"),
    ("age-key", "AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[0-9A-Z]{58}" + END.decode()),
    ("slack-webhook", "hooks.slack.com/services/",
     r"hooks\.slack\.com/services/T[A-Za-z0-9]{1,16}/B[A-Za-z0-9]{1,16}/(?P<value>[A-Za-z0-9]{16,}+)"),
    ("discord-webhook", "/api/webhooks/", r"/api/webhooks/[0-9]{16,20}/(?P<value>[A-Za-z0-9_-]{40,}+)"),
)  # fmt: skip
FREE: Final = ("slack-webhook", "discord-webhook")  # within an address, so that no word ends before them

PRIVATE: Final = rb"(?:[A-Z0-9]{1,16} ){0,4}PRIVATE KEY(?: BLOCK)?-----"
BREAK: Final = rb"(?:\s|\\[nr])++"  # lines, also where they are written as `\n`
# With its end, all between; where that was cut off, as many lines as look like a key.
PEM: Final = re.compile(
    rb"-----BEGIN " + PRIVATE + rb"(?:(?:[A-Za-z0-9+/=\s\\:,.()]++|-(?!----))*+-----END " + PRIVATE
    + rb"|(?:" + BREAK + rb"(?:[A-Z][A-Za-z-]{3,20}: [A-Za-z0-9 ,.()-]{1,80}+|[A-Za-z0-9+/]{16,}+=*+))++"
    rb"(?:" + BREAK + rb"[A-Za-z0-9+/]{1,15}+=*+\Z)?)"
)  # fmt: skip
DENSE: Final = re.compile(rb"[A-Za-z0-9+/]{20}")  # what code that only speaks of keys does not hold
PUTTY: Final = re.compile(rb"Private-Lines: [0-9]{1,4}(?P<value>(?:[\r\n]++[A-Za-z0-9+/]{16,}+=*+)++)")
JWT: Final = re.compile(START + rb"eyJ[A-Za-z0-9_-]{8,}+\.(?P<body>eyJ[A-Za-z0-9_-]{8,}+)\.[A-Za-z0-9_-]*+")
SAMPLE: Final = b"eyJzdWIiOiIxMjM0NTY3ODkwI"  # {"sub":"1234567890", the one on every page about these tokens
# The secret half of a key pair, where it stands right behind the public half: key files, tables, exports.
PAIR: Final = re.compile(
    START + rb"A[KS]IA[A-Z2-7]{16}[\s\\nrt,;:|\"']{1,8}(?P<value>[A-Za-z0-9+/]{40})(?![A-Za-z0-9+/=])"
)
AZURE_APP: Final = re.compile(START + rb"[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}(?![A-Za-z0-9_~.-])")
AZURE_DEVOPS: Final = re.compile(START + rb"[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}(?![A-Za-z0-9])")


def _is_key(match: re.Match[bytes]) -> bool:
    return DENSE.search(match[0]) is not None and b"...." not in match[0]


def _is_token(match: re.Match[bytes]) -> bool:
    return SAMPLE not in match[0] and is_drawn(match[0][:64])


def _forms() -> tuple[Form, ...]:
    shaped = [
        Form(kind, tuple(anchors.encode().split()), _pattern(kind, rest), is_live) for kind, anchors, rest in SHAPES
    ]
    return (
        Form("private-key", (b"-----BEGIN ",), PEM, _is_key),
        Form("private-key", (b"Private-Lines: ",), PUTTY, is_live),
        Form("aws-secret", (b"AKIA", b"ASIA"), PAIR, is_live),
        *shaped,
        Form("jwt", (b"eyJ",), JWT, _is_token),
        Form("azure-secret", (b"Q~",), AZURE_APP, is_live, back=4),
        Form("azure-token", (b"AZDO",), AZURE_DEVOPS, is_live, back=76),
    )


def _pattern(kind: str, rest: str) -> re.Pattern[bytes]:
    return re.compile((b"" if kind in FREE else START) + rest.encode())


TOKENS: Final = _forms()
