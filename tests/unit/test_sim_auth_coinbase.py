"""The pretend Coinbase lets in who proves it, and nobody else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from arbot.sim.wire.auth_coinbase import AuthRefused, Keyring, eddsa_key, es256_key, key_name, legacy_key

NOW_S = 1_700_000_000
NOW_NS = NOW_S * 10**9
NAME = key_name(random.Random(1))
PATH = "/api/v3/brokerage/orders"
EC_KEY = es256_key("main", NAME)
ED_KEY = eddsa_key("main", "0b1c2d3e-ed25519")
LEGACY_KEY = legacy_key("main", "legacykeyname", "legacysecret")
RING = Keyring((EC_KEY, ED_KEY, LEGACY_KEY))


def ed_private():
    return ed25519.Ed25519PrivateKey.from_private_bytes(base64.b64decode(ED_KEY.secret)[:32])


def token(secret=EC_KEY.secret, algorithm="ES256", kid=NAME, **claims):
    whole = {
        "iss": "cdp",
        "sub": NAME,
        "nbf": NOW_S,
        "exp": NOW_S + 120,
        "uri": f"POST api.coinbase.com{PATH}",
    } | claims
    return jwt.encode({k: v for k, v in whole.items() if v is not None}, secret, algorithm, {"kid": kid, "nonce": "00"})


def test_a_good_token_names_its_key():
    """A fresh token for this request, signed by the key, is let in."""
    assert EC_KEY == RING.verify_token(token(), NOW_NS, "POST", PATH)


@pytest.mark.parametrize(
    "uri", [f"POST {PATH}", f"POST http://127.0.0.1:8123{PATH}", f"POST https://localhost:1{PATH}", f"POST host{PATH}"]
)
def test_the_host_of_a_uri_does_not_matter(uri):
    """Only method and path of the uri are compared."""
    assert EC_KEY == RING.verify_token(token(uri=uri), NOW_NS, "POST", PATH)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"nbf": NOW_S - 121, "exp": NOW_S - 1}, "expired"),
        ({"nbf": NOW_S - 120, "exp": NOW_S}, "expired"),
        ({"nbf": NOW_S + 1, "exp": NOW_S + 121}, "not valid yet"),
        ({"exp": NOW_S + 3600}, "two minutes"),
        ({"nbf": None}, "missing"),
        ({"sub": "organizations/x/apiKeys/y"}, "sub"),
        ({"iss": "someone"}, "issuer"),
        ({"aud": ["elsewhere"]}, "audience"),
        ({"uri": f"GET api.coinbase.com{PATH}"}, "another request"),
        ({"uri": "POST api.coinbase.com/api/v3/brokerage/orders/preview"}, "another request"),
        ({"uri": None}, "uri is missing"),
        ({"kid": "nobody"}, "unknown key"),
        ({"secret": es256_key("main", NAME).secret}, "signature"),
        ({"secret": "x" * 64, "algorithm": "HS256"}, "signature"),
        ({"secret": ed_private(), "algorithm": "EdDSA"}, "signature"),
    ],
)
def test_a_bad_token_is_refused(changes, told):
    """Each wrong claim, key or signature is refused, and the refusal says what was wrong."""
    with pytest.raises(AuthRefused, match=told):
        RING.verify_token(token(**changes), NOW_NS, "POST", PATH)


def test_a_tampered_token_is_refused():
    """Changing one character of the payload breaks the signature; garbage is no token."""
    head, body, sign = token().split(".")
    with pytest.raises(AuthRefused):
        RING.verify_token(".".join((head, body[:-2] + ("A" if body[-2] != "A" else "B") + body[-1], sign)), NOW_NS)
    with pytest.raises(AuthRefused, match="not a token"):
        RING.verify_token("rubbish", NOW_NS)


def test_an_ed25519_token_carries_a_list_of_uris():
    """EdDSA keys are verified too, with `uris` in place of `uri`."""
    good = token(
        ed_private(), "EdDSA", ED_KEY.name, sub=ED_KEY.name, uri=None, uris=[f"POST x{PATH}"], aud=["cdp_service"]
    )
    assert ED_KEY == RING.verify_token(good, NOW_NS, "POST", PATH)


def test_the_secret_of_an_ed25519_key_is_seed_and_public_key():
    """The 64 bytes handed out end in the public key of the seed."""
    raw = base64.b64decode(ED_KEY.secret)
    assert raw[32:] == ed_private().public_key().public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw
    )


V2_PATH = "/v2/accounts"


def legacy_headers(**changes):
    good = {"CB-ACCESS-KEY": LEGACY_KEY.name, "CB-ACCESS-TIMESTAMP": str(NOW_S)}
    message = f"{NOW_S}GET{V2_PATH}?limit=5"
    good["CB-ACCESS-SIGN"] = hmac.new(b"legacysecret", message.encode(), hashlib.sha256).hexdigest()
    return good | changes


def test_legacy_headers_are_verified():
    """The old HMAC scheme signs time, method, path (with its query on v2 only), and body."""
    assert LEGACY_KEY == RING.authenticate_rest(
        legacy_headers(), "GET", V2_PATH, query="limit=5", body="", now_ns=NOW_NS
    )


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, "no credentials"),
        (legacy_headers(**{"CB-ACCESS-SIGN": "00"}), "mismatch"),
        (legacy_headers(**{"CB-ACCESS-KEY": NAME}), "unknown key"),
        (legacy_headers(**{"CB-ACCESS-TIMESTAMP": str(NOW_S - 31)}), "request timestamp expired"),
        (legacy_headers(**{"CB-ACCESS-TIMESTAMP": "soon"}), "number of seconds"),
    ],
)
def test_bad_legacy_headers_are_refused(headers, told):
    """Wrong signature, key or time is refused, and a request without credentials too."""
    with pytest.raises(AuthRefused, match=told):
        RING.authenticate_rest(headers, "GET", V2_PATH, query="limit=5", body="", now_ns=NOW_NS)


def test_a_websocket_token_needs_no_uri():
    """A subscribe frame is let in by a token without a uri, and refused without any."""
    assert EC_KEY == RING.authenticate_ws({"jwt": token(uri=None)}, NOW_NS)
    with pytest.raises(AuthRefused, match="no credentials"):
        RING.authenticate_ws({"channel": "user"}, NOW_NS)


def test_a_revoked_key_is_unknown():
    """A key that was removed is refused."""
    ring = Keyring((EC_KEY,))
    ring.remove(NAME)
    with pytest.raises(AuthRefused, match="unknown key"):
        ring.verify_token(token(), NOW_NS)
