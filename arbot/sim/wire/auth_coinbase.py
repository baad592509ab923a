"""Keys of the pretend Coinbase, and the checks its API makes of who is asking.

Rules of the file:
- Three schemes, as clients use them: ES256 tokens (PEM keys named organizations/../apiKeys/..), EdDSA tokens (Ed25519
  seeds) and the legacy HMAC headers. A key works by its own scheme only.
- A token is good when its algorithm is the key's, its signature verifies, `nbf <= now < exp`, `exp - nbf` is at most two
  minutes, `sub` and `kid` name the same known key, `iss` and `aud` (when given) are known, and its `uri` (or first of
  `uris`) names this method and path. Scheme and host of the uri are not compared: the simulator stands on loopback.
- A websocket token carries no uri. Time comes from the caller.
Source: docs.cdp.coinbase.com, "Coinbase App API key authentication" and "WebSocket overview", read 2025-11.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from arbot.domain.errors import ArbotError

TOKEN_SECONDS_MAX = 120
LEGACY_SKEW_SECONDS_MAX = 30
SECONDS_DIGITS_MAX = 12
_ISSUERS = frozenset({"cdp", "coinbase-cloud"})
_AUDIENCES = frozenset({"retail_rest_api_proxy", "cdp_service", "public_websocket_api"})
_HOST = re.compile(r"^(?:https?://)?[^/]*")


class Scheme(StrEnum):
    """How a key signs. The values of the token schemes are their JWT algorithms."""

    ES256 = "ES256"
    EDDSA = "EdDSA"
    LEGACY = "legacy"


class CoinbaseKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key of one pretend account: what its owner holds (`name`, `secret`), how it is verified, and what it may do.

    `verifier` is the public key as PEM, or the shared secret of a legacy key.
    """

    name: str
    secret: str
    scheme: Scheme
    verifier: str
    account: str
    can_view: bool = True
    can_trade: bool = True
    can_transfer: bool = False


class AuthRefused(ArbotError):
    """The caller did not prove who they are; the text says what failed."""


def es256_key(account: str, name: str, **permissions: bool) -> CoinbaseKey:
    """Make a P-256 key pair; `secret` is the private key in SEC1 PEM, as the venue hands it out."""
    private = ec.generate_private_key(ec.SECP256R1())
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return CoinbaseKey(
        name=name,
        secret=secret.decode(),
        scheme=Scheme.ES256,
        verifier=_public_pem(private.public_key()),
        account=account,
        **permissions,
    )


def eddsa_key(account: str, name: str, **permissions: bool) -> CoinbaseKey:
    """Make an Ed25519 key pair; `secret` is base64 of seed and public key (64 bytes), as the venue hands it out."""
    private = ed25519.Ed25519PrivateKey.generate()
    return CoinbaseKey(
        name=name,
        secret=base64.b64encode(private.private_bytes_raw() + private.public_key().public_bytes_raw()).decode(),
        scheme=Scheme.EDDSA,
        verifier=_public_pem(private.public_key()),
        account=account,
        **permissions,
    )


def legacy_key(account: str, name: str, secret: str, **permissions: bool) -> CoinbaseKey:
    """Make a key of the old kind, with a shared secret text."""
    return CoinbaseKey(name=name, secret=secret, scheme=Scheme.LEGACY, verifier=secret, account=account, **permissions)


def key_name(chance: random.Random) -> str:
    """Return a key name of the venue's form, organizations/<uuid>/apiKeys/<uuid>."""
    return f"organizations/{_uuid(chance)}/apiKeys/{_uuid(chance)}"


class Keyring:
    """All keys of the pretend venue, by name."""

    def __init__(self, keys: Iterable[CoinbaseKey] = ()) -> None:
        self._keys: dict[str, CoinbaseKey] = {}
        for key in keys:
            self.add(key)

    def add(self, key: CoinbaseKey) -> None:
        """Let a key in."""
        self._keys[key.name] = key

    def remove(self, name: str) -> None:
        """Revoke a key."""
        self._keys.pop(name, None)

    def authenticate_rest(
        self, headers: Mapping[str, str], method: str, path: str, *, query: str, body: str, now_ns: int
    ) -> CoinbaseKey:
        """Return the key that signed a REST request. Raises: AuthRefused.

        `headers` must look names up without case. Legacy keys sign the query with the path on v2, and not on v3.
        """
        bearer = headers.get("Authorization", "")
        if bearer.startswith("Bearer "):
            return self.verify_token(bearer.removeprefix("Bearer "), now_ns, method, path)
        name = headers.get("CB-ACCESS-KEY", "")
        if not name:
            raise AuthRefused("no credentials")
        timestamp = headers.get("CB-ACCESS-TIMESTAMP", "")
        signed_path = f"{path}?{query}" if query and path.startswith("/v2/") else path
        message = f"{timestamp}{method}{signed_path}{body}"
        return self._verify_legacy(name, timestamp, message, headers.get("CB-ACCESS-SIGN", ""), now_ns)

    def authenticate_ws(self, message: Mapping[str, Any], now_ns: int) -> CoinbaseKey:
        """Return the key that signed a subscribe frame. Raises: AuthRefused."""
        token = message.get("jwt")
        if token is not None:
            return self.verify_token(str(token), now_ns)
        name = str(message.get("api_key", ""))
        if not name:
            raise AuthRefused("no credentials")
        timestamp = str(message.get("timestamp", ""))
        products = ",".join(str(product) for product in message.get("product_ids") or ())
        signed = f"{timestamp}{message.get('channel', '')}{products}"
        return self._verify_legacy(name, timestamp, signed, str(message.get("signature", "")), now_ns)

    def verify_token(self, token: str, now_ns: int, method: str = "", path: str = "") -> CoinbaseKey:
        """Return the key of a token; without `method` no uri is asked for. Raises: AuthRefused."""
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError as error:
            raise AuthRefused(f"not a token: {error}") from error
        key = self._keys.get(str(header.get("kid", "")))
        if key is None or key.scheme is Scheme.LEGACY:
            raise AuthRefused("unknown key")
        try:
            claims = jwt.decode(token, key.verifier, algorithms=[key.scheme.value], options=_SIGNATURE_ONLY)
        except jwt.InvalidTokenError as error:
            raise AuthRefused(f"signature: {error}") from error
        _check_claims(claims, key.name, now_ns)
        if method:
            _check_uri(claims, method, path)
        return key

    def _verify_legacy(self, name: str, timestamp: str, message: str, signature: str, now_ns: int) -> CoinbaseKey:
        key = self._keys.get(name)
        if key is None or key.scheme is not Scheme.LEGACY:
            raise AuthRefused("unknown key")
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= SECONDS_DIGITS_MAX):
            raise AuthRefused("timestamp is not a number of seconds")
        if abs(int(timestamp) - now_ns // 10**9) > LEGACY_SKEW_SECONDS_MAX:
            raise AuthRefused("request timestamp expired")
        expected = hmac.new(key.verifier.encode(), message.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, signature):
            raise AuthRefused("signature: mismatch")
        return key


_SIGNATURE_ONLY: Any = dict.fromkeys(
    ("verify_exp", "verify_nbf", "verify_iat", "verify_aud", "verify_iss", "verify_sub"), False
)
"""The library would read the wall clock; claims are checked below with the caller's time."""


def _check_claims(claims: Mapping[str, Any], name: str, now_ns: int) -> None:
    if claims.get("sub") != name:
        raise AuthRefused("sub does not name the key")
    begin, end = claims.get("nbf"), claims.get("exp")
    if not isinstance(begin, int) or not isinstance(end, int):
        raise AuthRefused("nbf or exp is missing")
    now_s = now_ns // 10**9
    if now_s < begin:
        raise AuthRefused("token is not valid yet")
    if now_s >= end:
        raise AuthRefused("token has expired")
    if end - begin > TOKEN_SECONDS_MAX:
        raise AuthRefused("token lives longer than two minutes")
    if claims.get("iss") not in _ISSUERS:
        raise AuthRefused("unknown issuer")
    audience = claims.get("aud", [])
    named = audience if isinstance(audience, list) else [audience]
    if not all(isinstance(one, str) and one in _AUDIENCES for one in named):
        raise AuthRefused("unknown audience")


def _check_uri(claims: Mapping[str, Any], method: str, path: str) -> None:
    """Check that the token is for this request. EdDSA clients send a list called uris."""
    uris = claims.get("uris")
    uri = uris[0] if isinstance(uris, list) and uris else claims.get("uri")
    if not isinstance(uri, str):
        raise AuthRefused("uri is missing")
    verb, _, target = uri.partition(" ")
    if (verb, _HOST.sub("", target, count=1)) != (method, path):
        raise AuthRefused("uri names another request")


def _public_pem(public: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey) -> str:
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def _uuid(chance: random.Random) -> str:
    digits = f"{chance.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], "4" + digits[13:16], "a" + digits[17:20], digits[20:]))
