"""How we prove to GitHub who we are: a GitHub App with short-lived tokens, or one personal token."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bot.forges.errors import AUTH, NOT_FOUND
from bot.forges.github_shapes import AppShape, Clock, Created, TokenShape, User, read
from bot.forges.github_transport import Bearer, Request, Transport
from bot.forges.protocol import GitAccess
from bot.model.errors import GatewrightError, UsageError
from bot.model.event import Actor, Repo
from bot.settings import GitHub as Table

BACKDATED: Final = 60  # seconds; GitHub's advice against clocks that run ahead of its own
JWT_LIFE: Final = 9 * 60  # from `iat`; GitHub refuses more than ten minutes
JWT_REUSE: Final = 6 * 60
TOKEN_MARGIN: Final = 5 * 60  # an installation token lives an hour and must outlast the call
GIT_USER: Final = "x-access-token"


class Credentials(Protocol):
    """What GitHub calls need: a bearer per repository, an account, and git access."""

    async def bearer(self, repo: Repo) -> Bearer:
        """Give the credential for API calls on a repository."""

    def renew(self, repo: Repo, refused: Bearer) -> bool:
        """Drop what GitHub just refused; False where nothing better can be had."""

    def learn(self, repo: Repo, installation: int) -> None:
        """Remember which installation an event came from."""

    async def me(self) -> Actor:
        """Read the account that comments will show."""

    async def git(self, repo: Repo, *, write: bool) -> GitAccess:
        """Give a credential for one fetch or push."""


def credentials(table: Table, transport: Transport, clock: Clock) -> Credentials:
    """Choose by settings: an App if it has an id, else the token."""
    if table.app_id and table.private_key:
        return App(AppKey(table.app_id, table.private_key, clock), transport, clock)
    if table.token:
        return PersonalToken(table.token, transport, clock)
    raise UsageError(
        "GW-FORGE-SETTINGS",
        "GitHub has no credentials",
        why="[github] has neither app_id with private_key nor token",
        fix="set app_id and private_key_file (GitHub App), or token_file; docs/github.md shows both",
    )


class AppKey:
    """The App's private key, which makes the JWTs that GitHub trades for tokens."""

    def __init__(self, app_id: int, pem: str, clock: Clock) -> None:
        self._app_id = str(app_id)  # PyJWT takes `iss` as text only
        self._clock = clock
        self._jwt = ""
        self._made = float("-inf")
        self._key = _private_key(pem)

    def bearer(self) -> Bearer:
        """Give a JWT that is valid now for some minutes by GitHub's clock."""
        now = self._clock()
        if not self._made <= now < self._made + JWT_REUSE:
            issued = int(now) - BACKDATED
            claims: dict[str, Any] = {"iat": issued, "exp": issued + JWT_LIFE, "iss": self._app_id}
            self._jwt, self._made = jwt.encode(claims, self._key, algorithm="RS256"), now
        return Bearer(self._jwt, "app", is_jwt=True)


def _private_key(pem: str) -> RSAPrivateKey:
    text = pem if "\n" in pem.strip() else pem.replace("\\n", "\n")  # an environment often flattens it
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if isinstance(key, RSAPrivateKey):
        return key
    raise UsageError(
        "GW-FORGE-SETTINGS",
        "the GitHub App's private key cannot be read",
        why="[github] private_key is no unencrypted RSA key in PEM form",
        fix="give the whole .pem file that GitHub let you download, BEGIN and END lines included",
    )


@dataclass(frozen=True)
class _Minted:
    bearer: Bearer
    expires: float
    only: tuple[int, ...] | None  # repositories, where GitHub names them


class App:
    """A GitHub App: one cached token per installation for calls, a fresh narrow one per fetch or push."""

    def __init__(self, key: AppKey, transport: Transport, clock: Clock) -> None:
        self._key = key
        self._transport = transport
        self._clock = clock
        self._installations: dict[int, int] = {}
        self._tokens: dict[int, _Minted] = {}
        self._minting: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._me: Actor | None = None

    async def bearer(self, repo: Repo) -> Bearer:
        """Give the installation's token, minted once for all who wait for it."""
        return (await self._current(repo, self._cached)).bearer

    async def _current(self, repo: Repo, mint: Callable[[int], Awaitable[_Minted]]) -> _Minted:
        """Mint for the repository's installation; one that is gone (the App was re-installed) is looked up again."""
        known = repo.id in self._installations
        try:
            return await mint(await self._installation(repo))
        except GatewrightError as error:
            if error.code != NOT_FOUND or not known:
                raise
        self._installations.pop(repo.id, None)
        return await mint(await self._installation(repo))

    async def _cached(self, installation: int) -> _Minted:
        async with self._minting[installation]:
            held = self._tokens.get(installation)
            if held is None or held.expires - TOKEN_MARGIN <= self._clock():
                held = self._tokens[installation] = await self._mint(installation, {})
            return held

    def renew(self, repo: Repo, refused: Bearer) -> bool:
        """Forget the refused token, unless another call has already replaced it."""
        installation = self._installations.get(repo.id)
        if installation is None:
            return False
        held = self._tokens.get(installation)
        if held is not None and held.bearer == refused:
            del self._tokens[installation]
        return True

    def learn(self, repo: Repo, installation: int) -> None:
        """Save a look-up; a hint that is out of date is refused by GitHub and looked up then."""
        if installation:
            self._installations.setdefault(repo.id, installation)

    async def _installation(self, repo: Repo) -> int:
        if repo.id not in self._installations:
            owner, _, name = repo.path.partition("/")
            request = Request("GET", "/repos/{owner}/{name}/installation", {"owner": owner, "name": name}, repo=repo.id)
            try:
                data = await self._transport.send(request, self._key.bearer())
            except GatewrightError as error:
                raise _not_installed(repo) if error.code == NOT_FOUND else error from error
            self._installations[repo.id] = read(Created, data, "an installation").id
        return self._installations[repo.id]

    async def _mint(self, installation: int, limits: dict[str, Any]) -> _Minted:
        url = "/app/installations/{installation}/access_tokens"
        request = Request("POST", url, {"installation": installation}, data=limits)
        data = await self._transport.send(request, self._key.bearer())
        token = read(TokenShape, data, "an installation token")
        only = None if token.repositories is None else tuple(repo.id for repo in token.repositories)
        return _Minted(Bearer(token.token, f"installation:{installation}"), token.expires_at.timestamp(), only)

    async def me(self) -> Actor:
        """Read the App's bot account."""
        if self._me is None:
            app = read(AppShape, await self._transport.send(Request("GET", "/app"), self._key.bearer()), "the App")
            request = Request("GET", "/users/{login}", {"login": f"{app.slug}[bot]"})
            data = await self._transport.send(request, await self._any_bearer())
            self._me = read(User, data, "our account").actor()
        return self._me

    async def _any_bearer(self) -> Bearer:
        """Take any installation: /users answers to no JWT, and Enterprise may refuse anonymous calls."""
        known = next(iter(self._tokens), None)
        if known is None:
            request = Request("GET", "/app/installations{?per_page}", {"per_page": 1})
            found = read(tuple[Created, ...], await self._transport.send(request, self._key.bearer()), "installations")
            if not found:
                raise _not_installed(None)
            known = found[0].id
        return (await self._cached(known)).bearer

    async def git(self, repo: Repo, *, write: bool) -> GitAccess:
        """Mint a token that can touch the contents of this one repository and nothing else."""
        limits = {"repository_ids": [repo.id], "permissions": {"contents": "write" if write else "read"}}
        minted = await self._current(repo, lambda installation: self._mint(installation, limits))
        if minted.only not in (None, (repo.id,)):
            raise GatewrightError(AUTH, "GitHub minted a token that is not limited to the repository; it is not used")
        return GitAccess(GIT_USER, minted.bearer.value, int(minted.expires * 1000))


class PersonalToken:
    """One token for everything; GitHub cannot narrow it, so its own scope is the limit."""

    def __init__(self, token: str, transport: Transport, clock: Clock) -> None:
        self._bearer = Bearer(token.strip(), "token")
        self._transport = transport
        self._clock = clock
        self._me: Actor | None = None

    async def bearer(self, repo: Repo) -> Bearer:
        """Give the token."""
        return self._bearer

    def renew(self, repo: Repo, refused: Bearer) -> bool:
        """Say no: a refused token stays refused."""
        return False

    def learn(self, repo: Repo, installation: int) -> None:
        """Ignore installations, which only Apps have."""

    async def me(self) -> Actor:
        """Read the token's own account."""
        if self._me is None:
            data = await self._transport.send(Request("GET", "/user"), self._bearer)
            self._me = read(User, data, "our account").actor()
        return self._me

    async def git(self, repo: Repo, *, write: bool) -> GitAccess:
        """Give the token; its end is unknown, so it is asked for again after an hour."""
        return GitAccess(GIT_USER, self._bearer.value, int((self._clock() + 3600) * 1000))


def _not_installed(repo: Repo | None) -> GatewrightError:
    where = repo.path if repo else "any account"
    return GatewrightError(
        AUTH,
        f"the GitHub App is not installed on {where}",
        fix="install it: the App's page, Install App, then choose the repositories",
    )
