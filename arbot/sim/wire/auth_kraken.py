"""Who is asking the pretend Kraken: keys, signatures, nonces, websocket tokens.

API-Sign = base64(HMAC-SHA512(b64decode(secret), path + SHA256(nonce + body))), the path with its query and without the
host; the nonce must rise per key. A token is to be used within TOKEN_SECONDS and then lives with its connection.
Source: docs.kraken.com REST authentication and GetWebSocketsToken, read 2025-11.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import random

from arbot.domain.errors import ArbotError
from arbot.sim import chance
from arbot.sim.accounts import ApiKey
from arbot.sim.venue import SimVenue

TOKEN_SECONDS = 900
TRADE_PERMISSIONS = frozenset(
    {
        "query-funds",
        "query-open-trades",
        "query-closed-trades",
        "modify-trades",
        "close-trades",
        "query-ledger",
        "create-ws-token",
    },
)
TRANSFER_PERMISSIONS = frozenset({"add-funds", "withdraw-funds"})


class KrakenRefused(ArbotError):
    """An error text of the venue's own, such as EAPI:Invalid key."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def new_key(rng: random.Random, account: str, permissions: frozenset[str], now_ns: int) -> ApiKey:
    """Return a fresh key of an account: 56 characters, and 64 secret bytes as base64."""
    return ApiKey(
        key=base64.b64encode(rng.randbytes(42)).decode(),
        secret=base64.b64encode(rng.randbytes(64)).decode(),
        account=account,
        permissions=permissions,
        created_ns=now_ns,
        ip_allowlist=("127.0.0.1/32",),
    )


def sign(secret: str, path: str, nonce: str, body: bytes) -> str:
    """Return API-Sign of a request."""
    digest = hashlib.sha256(nonce.encode() + body).digest()
    return base64.b64encode(
        hmac.new(base64.b64decode(secret), path.encode() + digest, hashlib.sha512).digest()
    ).decode()


class Doorman:
    """Checks signatures and nonces of one venue and hands out websocket tokens."""

    def __init__(self, venue: SimVenue, rng: random.Random) -> None:
        self._venue = venue
        self._rng = rng
        self._tokens: dict[str, tuple[ApiKey, int]] = {}

    def key(self, text: str) -> ApiKey:
        """Return the key of that text. Raises: KrakenRefused."""
        key = self._venue.accounts.keys.get(text)
        if key is None:
            raise KrakenRefused("EAPI:Invalid key")
        return key

    def check(self, key: ApiKey, signature: str, path: str, nonce: str, body: bytes) -> None:
        """Check one request and remember its nonce. Raises: KrakenRefused."""
        if not hmac.compare_digest(sign(key.secret, path, nonce, body), signature):
            raise KrakenRefused("EAPI:Invalid signature")
        if not (nonce.isascii() and nonce.isdigit()) or int(nonce) <= key.nonce_last - key.nonce_window:
            raise KrakenRefused("EAPI:Invalid nonce")
        key.nonce_last = max(key.nonce_last, int(nonce))

    def new_token(self, key: ApiKey, now_ns: int) -> str:
        """Return a websocket token for a key."""
        token = chance.word(self._rng, 43)
        self._tokens[token] = (key, now_ns)
        return token

    def token_key(self, token: str, now_ns: int, *, in_use: bool) -> ApiKey:
        """Return the key behind a token; `in_use` when this connection has used it before. Raises: KrakenRefused."""
        known = self._tokens.get(token)
        if known is None:
            raise KrakenRefused("ESession:Invalid session")
        key, issued_ns = known
        if not in_use and now_ns - issued_ns > TOKEN_SECONDS * 10**9:
            raise KrakenRefused("ESession:Invalid session")
        return key
