"""Secrets of every kind, made up from the forms that vendors publish, and what only looks like one.

Put together when the tests run, so that no scanner takes this file for a leak.
"""

from __future__ import annotations

import hashlib
import string

ALNUM, HEX = string.ascii_letters + string.digits, "0123456789abcdef"


def drawn(count: int, alphabet: str = ALNUM, seed: str = "") -> str:
    """Draw characters that are the same in each run."""
    found = ""
    while len(found) < count:
        block = hashlib.sha256(f"{seed}/{alphabet}/{len(found)}".encode()).digest()
        found += "".join(alphabet[byte % len(alphabet)] for byte in block)
    return found[:count]


def mixed(count: int, seed: str = "") -> str:
    """Draw letters and digits that surely hold both."""
    return "a1B2" + drawn(count - 4, seed=seed)


UPPER = string.ascii_uppercase + "234567"
B64 = ALNUM + "+/"
KEY_ID = "AK" + "IA" + drawn(16, UPPER)
AWS_SECRET = "q7/" + mixed(36, "aws") + "+"
BODY = "\n".join(drawn(64, B64, str(line)) for line in range(6))


def pem(kind: str, body: str = BODY) -> str:
    """A private key as a file holds it."""
    return f"-----BEGIN {kind}PRIVATE " + f"KEY-----\n{body}\n-----END {kind}PRIVATE " + "KEY-----"


# kind -> secret; each is found wherever it stands
TOKENS: dict[str, str] = {
    "github classic": "gh" + "p_" + mixed(36),
    "github oauth": "gh" + "o_" + mixed(36),
    "github user": "gh" + "u_" + mixed(36),
    "github server": "gh" + "s_" + mixed(36),
    "github server, long": "gh" + "s_123456_eyJ" + mixed(40) + ".eyJ" + mixed(60) + "." + mixed(40),
    "github refresh": "gh" + "r_" + mixed(76),
    "github fine-grained": "github" + "_pat_" + mixed(22) + "_" + mixed(59),
    "gitlab personal": "gl" + "pat-" + mixed(20),
    "gitlab routable": "gl" + "pat-" + mixed(27) + ".01." + drawn(9, HEX),
    "gitlab deploy": "gl" + "dt-" + mixed(20),
    "gitlab runner": "gl" + "rt-" + mixed(20),
    "gitlab runner, routable": "gl" + "rtr-" + mixed(20),
    "gitlab job": "gl" + "cbt-64_" + mixed(20),
    "gitlab trigger": "gl" + "ptt-" + drawn(40, HEX),
    "gitlab feed": "gl" + "ft-" + mixed(20),
    "gitlab agent": "gl" + "agent-" + mixed(50),
    "gitlab oauth secret": "gl" + "oas-" + drawn(64, HEX),
    "gitlab scim": "gl" + "soat-" + mixed(20),
    "gitlab incoming mail": "gl" + "imt-" + mixed(25),
    "gitlab registration": "GR" + "1348941" + mixed(20),
    "anthropic": "sk-" + "ant-api03-" + mixed(93) + "AA",
    "anthropic oauth": "sk-" + "ant-oat01-" + mixed(93) + "AA",
    "openai": "sk-" + mixed(20) + "T3Blbk" + "FJ" + mixed(20),
    "openai project": "sk-" + "proj-" + mixed(74) + "T3Blbk" + "FJ" + mixed(74),
    "openai service": "sk-" + "svcacct-" + mixed(60),
    "openai admin": "sk-" + "admin-" + mixed(60),
    "openrouter": "sk-" + "or-v1-" + drawn(64, HEX),
    "deepseek": "sk-" + "a1" + drawn(30, HEX),
    "google": "AI" + "za" + mixed(35),
    "google access": "ya" + "29." + mixed(120),
    "google client": "GOC" + "SPX-" + mixed(28),
    "xai": "xa" + "i-" + mixed(80),
    "huggingface": "h" + "f_" + drawn(34, string.ascii_letters),
    "groq": "gs" + "k_" + mixed(52),
    "replicate": "r" + "8_" + mixed(37),
    "perplexity": "pp" + "lx-" + mixed(48),
    "nvidia": "nv" + "api-" + mixed(64),
    "together": "tgp_" + "v1_" + mixed(43),
    "aws": KEY_ID,
    "aws temporary": "AS" + "IA" + drawn(16, UPPER, "t"),
    "bedrock": "AB" + "SK" + drawn(128, B64) + "=",
    "slack bot": "xo" + "xb-" + drawn(12, string.digits) + "-" + drawn(13, string.digits) + "-" + mixed(24),
    "slack user": "xo" + "xp-" + drawn(12, string.digits) + "-" + drawn(32, HEX),
    "slack app": "xa" + "pp-1-" + mixed(11) + "-" + drawn(64, HEX),
    "slack rotated": "xo" + "xe.xox" + "p-1-" + mixed(160),
    "stripe live": "sk_" + "live_" + mixed(24),
    "stripe test": "sk_" + "test_" + mixed(24),
    "stripe restricted": "rk_" + "live_" + mixed(24),
    "webhook": "wh" + "sec_" + mixed(32),
    "sendgrid": "SG" + "." + mixed(22) + "." + mixed(43),
    "npm": "np" + "m_" + mixed(36),
    "pypi": "pyp" + "i-AgE" + "IcHlwaS5vcmc" + mixed(140),
    "rubygems": "ruby" + "gems_" + drawn(48, HEX),
    "docker": "dckr" + "_pat_" + mixed(27),
    "digitalocean": "dop" + "_v1_" + drawn(64, HEX),
    "databricks": "da" + "pi" + drawn(32, HEX),
    "vault": "hv" + "s." + mixed(90),
    "atlassian": "ATA" + "TT3xFfGF0" + mixed(180) + "=" + drawn(8, HEX),
    "bitbucket": "AT" + "BB" + mixed(32),
    "grafana": "gl" + "sa_" + mixed(32) + "_" + drawn(8, HEX),
    "shopify": "shp" + "at_" + drawn(32, HEX),
    "linear": "lin" + "_api_" + mixed(40),
    "notion": "nt" + "n_" + mixed(46),
    "sentry": "sn" + "trys_" + mixed(80),
    "tailscale": "ts" + "key-auth-" + mixed(12) + "-" + mixed(32),
    "age": "AGE-" + "SECRET-KEY-1" + drawn(58, string.ascii_uppercase + string.digits),
    "azure application": "abc" + "8Q" + "~" + mixed(34),
    "azure devops": mixed(76) + "AZ" + "DO" + mixed(4),
    "jwt": "ey" + "J" + mixed(33) + ".ey" + "J" + mixed(70) + "." + mixed(43),
    "rsa key": pem("RSA "),
    "pkcs8 key": pem(""),
    "ec key": pem("EC "),
    "dsa key": pem("DSA "),
    "openssh key": pem("OPENSSH "),
    "encrypted key": pem("ENCRYPTED "),
    "rsa key under a password": pem(
        "RSA ", f"Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,{drawn(32, '0A1B2C3D')}\n\n{BODY}"
    ),
    "pgp key": "-----BEGIN PGP PRIVATE "
    f"KEY BLOCK-----\nVersion: GnuPG v2\n\n{BODY}\n=aB3d\n-----END PGP PRIVATE "
    "KEY BLOCK-----",
    "key in one line": pem("RSA ").replace("\n", "\\n"),
}

LONG = mixed(32, "long")
PUTTY = "\n" + drawn(64, B64) + "\n" + drawn(40, B64)
# line -> what must be gone from it; what stands around must not
LINES: dict[str, tuple[str, str]] = {
    "env": (f"DB_PASSWORD={LONG}", LONG),
    "exported": (f"export GITHUB_TOKEN='{drawn(40, HEX)}'", drawn(40, HEX)),
    "python": (f'api_key = "{LONG}"', LONG),
    "python, typed": (f'API_KEY: str = "{LONG}"', LONG),
    "json": (f'{{"clientSecret": "{LONG}", "n": 1}}', LONG),
    "json in json": (f'{{\\"client_secret\\": \\"{LONG}\\"}}', LONG),
    "yaml": (f"  password: {LONG}  # do not tell", LONG),
    "toml": (f'secret_key_base = "{drawn(128, HEX)}"', drawn(128, HEX)),
    "ruby": (f":access_token => '{LONG}'", LONG),
    "go": (f'signingKey := "{LONG}"', LONG),
    "subscript": (f'os.environ["API_TOKEN"] = "{LONG}"', LONG),
    "properties": (f"spring.datasource.password={LONG}", LONG),
    "xml": (f"<password>{LONG}</password>", LONG),
    "aws secret": (f"aws_secret_access_key = {AWS_SECRET}", AWS_SECRET),
    "aws pair": (f"{KEY_ID},{AWS_SECRET}", AWS_SECRET),
    "azure storage": (f"AccountName=a;AccountKey={drawn(86, B64)}==;E=x", drawn(86, B64) + "=="),
    "azure bus": (f"SharedAccessKeyName=Root;SharedAccessKey={drawn(43, B64)}=", drawn(43, B64) + "="),
    "azure sas": (f"https://a.blob.core.windows.net/c?sv=2024&sig={mixed(43)}%3D&se=2", mixed(43) + "%3D"),
    "npmrc": (f"//npm.bank.example/:_authToken={LONG}", LONG),
    "npmrc, old": (f"_auth={drawn(40, B64)}==", drawn(40, B64) + "=="),
    "docker": (f'"auths": {{"r": {{"registry_auth": "{drawn(40, B64)}=="}}}}', drawn(40, B64) + "=="),
    "short password": ('password = "S3cr3t-Pa55"', "S3cr3t-Pa55"),
    "odd password": ("DB_PASSWORD=p4ss/w0rd+2x!", "p4ss/w0rd+2x!"),
    "bearer": (f"Authorization: Bearer {LONG}", LONG),
    "basic": ("authorization: basic eDpzZWNyZXQ=", "eDpzZWNyZXQ="),
    "gitlab header": (f'curl -H "PRIVATE-TOKEN: {LONG}"', LONG),
    "google header": (f"x-goog-api-key: {LONG}", LONG),
    "url": ("https://bot:hunter2hunter2@forge.example.org/x.git", "hunter2hunter2"),
    "postgres": ("postgresql://app:S3cr3tPa55@db.internal:5432/x", "S3cr3tPa55"),
    "redis": ("redis://:S3cr3tPa55@cache:6379/0", "S3cr3tPa55"),
    "slack webhook": ("https://hooks.slack.com/services/T0AB12CD3/B0AB12CD3/" + mixed(24), mixed(24)),
    "discord webhook": ("https://discord.com/api/webhooks/123456789012345678/" + mixed(68), mixed(68)),
    "putty": (f"Private-Lines: 2{PUTTY}\nPrivate-MAC: x", PUTTY),
    "very long": (f"SESSION_SECRET={mixed(3_000)} # end", mixed(3_000)),
}

SHA = hashlib.sha256(b"x").hexdigest()
INTEGRITY = "sha512-" + drawn(86, B64) + "=="
HARMLESS: tuple[str, ...] = (
    "commit 3f2a9c1e5b7d3f2a9c1e5b7d3f2a9c1e5b7d3f2a",
    f"index {SHA[:40]}..{SHA[24:]} 100644",
    f"digest: sha256:{SHA}",
    f"image@sha256:{SHA}",
    f'"integrity": "{INTEGRITY}"',
    f"--hash=sha256:{SHA}",
    f"h1:{drawn(43, B64)}=",
    f"golang.org/x/net v0.1.0 h1:{drawn(43, B64)}=",
    f'password_sha256 = "{SHA}"',
    f"token_hash: {SHA}",
    f'checksum = "{SHA}"',
    "id = 550e8400-e29b-41d4-a716-446655440000",
    "token: 550e8400-e29b-41d4-a716-446655440000",
    f"etag {SHA[:32]}",
    f"md5 {SHA[:32]}",
    "AK" + "IAIOSFODNN7EXAMPLE",
    "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "gh" + "p_" + "x" * 36,
    "gh" + "p_XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX",
    "gl" + "pat-<your_token>",
    "gl" + "pat-xxxxxxxxxxxxxxxxxxxx",
    "sk-" + "ant-api03-xxxxxxxxxxxxxxxxxxxxxxxx",
    "sk-" + "proj-your-key-here-1234567890",
    "sk-" + "...",
    "xo" + "xb-your-token-here",
    "AI" + "zaSy...",
    "ghp_ is how such a token begins",
    "highp_precision_of_the_vectors_is_kept_here",
    "ey" + "JhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4ifQ.SflKxwRJSMeKKF2QT4fwpM",
    "eyJ is base64",
    "PASSWORD=<password>",
    "PASSWORD=changeme",
    "password: change-me-please-1",
    "PASSWORD=xxxxxxxxxx1",
    "API_KEY=${API_KEY}",
    "API_KEY=$API_KEY_2",
    'token = "{{ csrf_token }}"',
    "token: ${{ secrets.GITHUB_TOKEN }}",
    "password: *db_password_1",
    'secret = "%(secret1)s"',
    "password = get_password(1)",
    "token = request.headers['X-Token-2']",
    "secret = os.environ['SECRET_2']",
    "api_key=settings.api_key2",
    "token = config.token.value1",
    "token: str",
    "password: string",
    "token: Optional[str] = None",
    "def login(user, password=None):",
    'password = "password"',
    'password = "password123"',
    'token="test"',
    'secret_name = "my-secret-v2"',
    'secret = "projects/p1/secrets/s2/v3"',
    'password_file = "/run/secrets/db1password"',
    "token_url = https://login.bank.test/oauth2/v2",
    "api_key_file: keys/a1b2c3d4.txt",
    "max_tokens: 4096",
    "tokens_out=1234567890",
    '"tokens_in": 20481234',
    'tokenizer = "gpt-4o-mini-2024-07-18"',
    "token_type: bearer1x2",
    "access_key_id_header: X-Amz-2Key",
    "secret_arn = arn:aws:secretsmanager:eu-1:123:secret:a1B2c3",
    "TOKEN_TTL=3600s5m4h3d",
    "secretKeyRef: {name: a}",
    "private_key_path: ~/.ssh/id_ed25519",
    "password_policy: min12-upper1-lower1",
    "PASSWORD_RESET_URL=/reset2/x1y2z3",
    "if token == expected_token2:",
    "https://example.org:8080/a@b",
    "https://docs.example.org/a:b",
    "git@github.com:acme/shop.git",
    "ssh://git@forge.example.org:22/x",
    "https://user:password-placeholder@example.org",
    "https://u:${PASSWORD}@host",
    "the bearer of bad news",
    "Bearer <token>",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC " + "KEY-----\nMIIB\n-----END PUBLIC " + "KEY-----",
    'if b"-----BEGIN RSA PRIVATE ' + 'KEY-----" in data: refuse()',
    "-----BEGIN PRIVATE " + "KEY-----\n...\n-----END PRIVATE " + "KEY-----",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + drawn(43, B64) + " me@host",
    "the task-runner asks a risk-averse disk-scheduler-with-a-long-name",
    "sk-learn-compatible-estimators-with-names",
    ".sk-folding-cube-4-animation-delay-12 {}",
    "const skip_token = Symbol",
    "npm_config_registry_for_this_project1",
    "hf_hub_download_with_a_very_long_name_1",
    "data:image/png;base64," + drawn(200, B64),
    '<div class="token keyword x1y2">',
    "version = 1.2.3-beta4+build5",
    "Gatewright-Task: 42-k7f3qd",
    "sha512-" + drawn(86, B64) + "==",
    "see SECURITY.md for the password rules",
    "secret: !vault |",
    "r8_is_short",
    "pwd: /home/me/src2",
    "passwd:x:1000:1000",
    "auth_url: https://id.bank.test/realm1",
    "api-key: [redacted:header]",
    "DB_PASSWORD=[redacted:assigned-secret]",
)
