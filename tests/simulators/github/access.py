"""Who asks, and what they may: JWTs of the App, installation tokens, personal tokens."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Any, Final

import jwt

from tests.simulators.github.world import ROLES, Installation, Repository, Token, User, World

LONGEST_JWT: Final = 600  # seconds
LEVELS: Final = ("none", "read", "write", "admin")
# The role a person needs where an App needs a permission.
ROLE_FOR: Final = {
    "issues:write": "read",
    "pull_requests:write": "read",
    "administration:read": "admin",
    "administration:write": "admin",
    "metadata:read": "read",
    "metadata:push": "write",
}


@dataclass
class Refusal(Exception):
    """An answer other than success."""

    status: int
    message: str
    errors: list[dict[str, str]] | list[str] | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Caller:
    """Who asks: a token's holder, the App itself by JWT, or nobody."""

    token: Token | None = None
    is_app: bool = False

    @property
    def user(self) -> User:
        """Name the account that acts."""
        if self.token is None:
            raise Refusal(401, "Requires authentication")
        return self.token.user

    @property
    def installation(self) -> Installation | None:
        """Name the installation whose token this is."""
        return self.token.installation if self.token else None

    def sees(self, repo: Repository) -> bool:
        """Tell whether the repository exists for the caller."""
        if self.token is None:
            return not repo.private
        if self.token.repositories is not None:
            return repo in self.token.repositories
        return repo.role(self.token.user) != "none"

    def may(self, repo: Repository, *needs: str) -> bool:
        """Tell whether one of the permissions (`issues:write`) is held."""
        return any(self._may(repo, *need.split(":")) for need in needs)

    def _may(self, repo: Repository, area: str, level: str) -> bool:
        if self.token is None:
            return level == "read" and not repo.private
        if self.token.permissions is not None:
            held = self.token.permissions.get(area, "read" if area == "metadata" else "none")
            level = "read" if level == "push" else level
            return LEVELS.index(held) >= LEVELS.index(level)
        default = "read" if level == "read" else "write"
        needed = ROLE_FOR.get(f"{area}:{level}", default)
        return ROLES.index(repo.role(self.token.user)) >= ROLES.index(needed)


def identify(world: World, header: str) -> Caller:
    """Read an Authorization header; bad credentials are refused, none are nobody."""
    scheme, _, value = header.partition(" ")
    if not scheme:
        return Caller()
    if scheme.lower() == "basic":
        return Caller(_token(world, _password(value)))
    if scheme.lower() not in {"token", "bearer"}:
        raise Refusal(401, "Bad credentials")
    if value.count(".") == 2:
        verify_jwt(world, value)
        return Caller(is_app=True)
    return Caller(_token(world, value))


def _password(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Refusal(401, "Bad credentials") from error


def _token(world: World, value: str) -> Token:
    token = world.tokens.get(value)
    if token is None or (token.expires is not None and token.expires <= world.now()):
        raise Refusal(401, "Bad credentials")
    return token


def verify_jwt(world: World, value: str) -> None:
    """Hold a JWT to GitHub's rules: our key, `iat` not ahead, `exp` within ten minutes."""
    now = world.now().timestamp()
    try:
        claims: dict[str, Any] = jwt.decode(
            value,
            world.app_public_key,
            algorithms=["RS256"],
            options={"verify_exp": False, "verify_iat": False, "require": ["iat", "exp", "iss"]},
        )
    except jwt.PyJWTError as error:
        raise Refusal(401, "A JSON web token could not be decoded") from error
    if str(claims["iss"]) != str(world.app_id):
        raise Refusal(401, "Integration not found")
    if claims["iat"] > now:
        raise Refusal(401, "'Issued at' claim ('iat') must be an Integer representing the time of the assertion")
    if claims["exp"] <= now:
        raise Refusal(401, "'Expiration time' claim ('exp') must be a numeric value representing the future time")
    if claims["exp"] - now > LONGEST_JWT:
        raise Refusal(401, "'Expiration time' claim ('exp') is too far in the future")
