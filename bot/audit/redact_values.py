"""Secrets that nothing but their place gives away: headers, addresses, and what telling names are given."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Final

from bot.audit.redact_form import Form, is_drawn, is_live

QUOTE: Final = rb"[\\\"'`]{0,4}"  # it may stand in JSON, in JSON in JSON, or bare
GAP: Final = rb"[ \t]{0,4}"
TOKEN: Final = rb"(?P<value>(?!\[redacted:)[A-Za-z0-9._~+/=-]{8,}+)"
AUTHORIZATION: Final = re.compile(
    rb"(?i)authorization" + QUOTE + GAP + rb"[:=]" + GAP + QUOTE + rb"(?:bearer|basic|token)\s{1,4}" + TOKEN
)
HEADER: Final = re.compile(
    rb"(?i)(?:x-api-key|api-key|private-token|job-token|x-gitlab-token|x-goog-api-key|x-vault-token)"
    + QUOTE + GAP + rb":" + GAP + QUOTE + TOKEN
)  # fmt: skip
BEARER: Final = re.compile(rb"(?i)\bbearer (?=[a-z._~+/=-]{0,256}[0-9])(?=[^\s]{20})" + TOKEN)
URL: Final = re.compile(rb"://[^\s/:@\"'<>]{0,128}:(?!\[redacted:)(?P<value>[^\s/:@\"'<>]{1,512})@")
PIECE: Final = rb"[^\s\"'`\\<>,;(){}\[\]|&?]"
PLAIN: Final = rb"[^\s\"'`\\<>,;(){}\[\]|&?=]"
SIGNED: Final = re.compile(rb"(?i)[?&]sig=(?P<value>[A-Za-z0-9%/+]{40,}+=*+)")

# What a name says, up to this: `DB_PASSWORD`, `client_secret`, `apiKey`, `SharedAccessKey`.
WORDS: Final = (
    b"password", b"passwd", b"passphrase", b"secret", b"token", b"apikey", b"api_key", b"api-key", b"accesskey",
    b"access_key", b"access-key", b"accountkey", b"account_key", b"privatekey", b"private_key", b"signingkey",
    b"signing_key", b"encryptionkey", b"encryption_key", b"masterkey", b"master_key", b"authkey", b"auth_key",
    b"credential", b"pwd", b"_pass", b"_auth",
)  # fmt: skip
# After the word what else the name says, then `=` or `:` in any language's spelling, then a value.
NAMED: Final = re.compile(
    rb"(?i)(?:password|passwd|passphrase|secret|token|(?:api|access|account|private|signing|encryption|master|auth)"
    rb"[_-]?key|credential|pwd|_pass|_auth)(?P<rest>[A-Za-z0-9_.-]{0,40}+)[\\\"'`\])]{0,4}" + GAP
    + rb"(?::[ \t]?&?(?:'static )?str(?:ing)?[ \t]?)?(?P<sign>:=|=>|={1,2}|:|>)" + GAP
    + rb"(?P<quote>[\\\"'`]{0,4})(?!\[redacted:)(?P<value>" + PLAIN + rb"{8,128}+)=*+(?P<after>[^\s]?)"
)  # fmt: skip
RUN: Final = re.compile(PIECE + rb"*+")
# Last words of names that say where a secret is, how long, or what it is called, and not which it is.
ABOUT: Final = frozenset(
    b"file path dir url uri name names id ids hash hashes sha digest checksum env type kind length len size count "
    b"limit ttl expires expiry expiration header field prefix suffix regex pattern policy arn ref version endpoint "
    b"format budget in out usage used class label hint status scope scopes var store manager smanager provider at "
    b"fingerprint public reset rotation izer ize ized s".split()
)
PART: Final = re.compile(rb"[A-Z]?[a-z]+|[A-Z]+")
HEX: Final = re.compile(rb"[0-9A-Fa-f]+")
UUID: Final = re.compile(rb"(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
INTEGRITY: Final = re.compile(rb"(?i)(?:sha(?:1|224|256|384|512)|md5|h1)[-:]")
REFERENCE: Final = re.compile(  # to a variable, a file, an address, another name
    rb"^[$%@*#&!]|\$\{|\{\{|^(?:\.{0,2}|~)/|://|^(?:os|process|env|self|this|config|settings|secrets|vault|var|local|data"
    rb"|request|req|ctx|args|params|options|opts|file|ref|op|arn|projects|keyring|ssm|base64|test|random)[.:/]"
)
DOTTED: Final = re.compile(rb"[A-Za-z_]\w*+(?:\.[A-Za-z_]\w*+)++")  # an attribute of something
# `my-secret-v2`, `gpt-4o-mini`, `2024-01-01`, `token1`: names and dates.
WORDY: Final = re.compile(rb"(?:[0-9]{0,4}+[A-Za-z]*+[0-9]{0,4}+(?:[_./:@-]++|\Z))++")
DIGESTS: Final = (32, 40, 48, 56, 64, 96, 128)  # lengths in which keys, too, are written in hex
LEAST_BITS: Final = 2.75  # of entropy in a character; words repeat their letters more


def is_password(match: re.Match[bytes]) -> bool:
    """Tell a password in an address from the name of a variable that holds it."""
    return is_live(match) and not REFERENCE.search(match["value"])


def is_kept_secret(match: re.Match[bytes]) -> bool:
    """Judge what a telling name is given: true for what was drawn or thought up, false for what refers to it."""
    before = match.string[max(match.start() - 32, 0) : match.start()]
    if b"]" not in before.rpartition(b"[redacted:")[2] and b"[redacted:" in before:  # the name is a mark of ours
        return False
    last = PART.findall(match["rest"])[-1:]
    if last and last[0].lower() in ABOUT:
        return False
    if match["sign"] == b":" and before[-1:] == b":" and not match["rest"]:  # a part of a longer name, as in an ARN
        return False
    if match["sign"] == b">" and match["after"] != b"<":
        return False
    is_quoted = bool(match["quote"])
    return (is_quoted or match["after"] not in (b"(", b"[", b"{", b"<") or match["sign"] == b">") and is_secret(
        match["value"]
    )


def is_secret(value: bytes) -> bool:
    """Tell a password or key from words, references, digests and stand-ins."""
    is_mixed = re.search(rb"[0-9]", value) and re.search(rb"[A-Za-z]", value)
    if not is_mixed or not is_drawn(value) or WORDY.fullmatch(value) or DOTTED.fullmatch(value):
        return False
    if REFERENCE.search(value) or UUID.fullmatch(value) or INTEGRITY.match(value) or entropy(value) < LEAST_BITS:
        return False
    return not HEX.fullmatch(value) or len(value) in DIGESTS


def entropy(value: bytes) -> float:
    """Measure Shannon's entropy in bits for each character."""
    total = len(value)
    return -sum(count / total * math.log2(count / total) for count in Counter(value).values())


HEADERS: Final = (
    b"x-api-key", b"api-key", b"private-token", b"job-token", b"x-gitlab-token", b"x-goog-api-key", b"x-vault-token",
)  # fmt: skip
VALUES: Final = (
    Form("authorization", (b"authorization",), AUTHORIZATION, is_live, folds=True),
    Form("header", HEADERS, HEADER, is_live, folds=True),
    Form("bearer", (b"bearer ",), BEARER, is_live, folds=True),
    Form("url-password", (b"://",), URL, is_password),
    Form("signature", (b"?sig=", b"&sig="), SIGNED, is_live, folds=True),
    Form("assigned-secret", WORDS, NAMED, is_kept_secret, folds=True, run=RUN),
)
