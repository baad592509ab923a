"""Whatever a customer sends, a pretend venue answers with a status and a body, and its books stay whole."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import random
from decimal import Decimal
from urllib.parse import urlencode

from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from arbot.sim.chance import stream
from arbot.sim.faults import FaultPlan
from arbot.sim.fees import BITSTAMP_TIERS
from arbot.sim.latency import Latency, LatencyModel
from arbot.sim.listing import instruments_of
from arbot.sim.venue import BITSTAMP_POLICY, SimVenue
from arbot.sim.wire.bitstamp import BitstampRest, new_key
from arbot.sim.wire.coinbase_rest import CoinbaseRest
from arbot.sim.wire.coinbase_ws import CoinbaseSession
from arbot.sim.wire.desk import Desk
from tests.support.coinbase_world import ROOMY, CoinbaseWorld

_NUMBERS = st.one_of(
    st.decimals(allow_nan=True, allow_infinity=True).map(str),
    st.sampled_from(["1e-30", "1E+14", "9" * 40, "-1", "0", "0.1", "65010", "1_0", "", " 1", "0x1", "1e999999"]),
    st.none(),
    st.integers(),
    st.floats(),
)
_ANY = st.recursive(
    st.none() | st.booleans() | st.text(max_size=8) | _NUMBERS, lambda inner: st.lists(inner, max_size=3)
)
_TERMS = st.fixed_dictionaries(
    {},
    optional={
        "base_size": _NUMBERS,
        "limit_price": _NUMBERS,
        "quote_size": _NUMBERS,
        "end_time": _ANY,
        "post_only": st.booleans() | st.none(),
    },
)
_KINDS = st.sampled_from(
    ["limit_limit_gtc", "limit_limit_gtd", "sor_limit_ioc", "limit_limit_fok", "market_market_ioc", "other"]
)
_ORDERS = st.fixed_dictionaries(
    {},
    optional={
        "client_order_id": st.text(max_size=5) | st.integers(),
        "product_id": st.sampled_from(["BTC-USD", "ETH-USD", "NO-NO"]) | _ANY,
        "side": st.sampled_from(["BUY", "SELL", "buy"]) | _ANY,
        "order_configuration": st.dictionaries(_KINDS, _TERMS, max_size=2) | _ANY,
        "order_ids": _ANY,
        "type": st.just("send"),
        "amount": _NUMBERS,
        "to": st.text(max_size=3),
        "idem": _ANY,
    },
)
_POSTS = st.sampled_from(
    [
        "/api/v3/brokerage/orders",
        "/api/v3/brokerage/orders/preview",
        "/api/v3/brokerage/orders/batch_cancel",
        "/v2/accounts/BTC/transactions",
    ]
)
_GETS = st.sampled_from(
    [
        "/api/v3/brokerage/orders/historical/batch",
        "/api/v3/brokerage/orders/historical/fills",
        "/api/v3/brokerage/accounts",
        "/api/v3/brokerage/market/products",
        "/api/v3/brokerage/market/product_book",
        "/v2/accounts/USD/deposits",
        "/v2/nothing",
    ]
)
_PARAMS = st.dictionaries(
    st.sampled_from(["limit", "cursor", "start_date", "end_date", "order_ids", "product_id", "order_status"]),
    st.text(max_size=12) | st.sampled_from(["9" * 5000, "2025-01-01T00:00:00Z", "BTC-USD", "OPEN", "-1"]),
)


_ODD_SIZES = st.fixed_dictionaries(
    {
        "client_order_id": st.just("x"),
        "product_id": st.just("BTC-USD"),
        "side": st.sampled_from(["BUY", "SELL"]),
        "order_configuration": st.builds(
            lambda size, price: {"limit_limit_gtc": {"base_size": size, "limit_price": price}},
            st.sampled_from(["1E+9", "1e-18", "1E+14", "1" + "0" * 29, "0.1"]),
            st.sampled_from(["1E+9", "1e-18", "1E+15", "1" + "0" * 29, "65010"]),
        ),
    }
)


def as_json(body) -> bytes:
    return json.dumps(body, allow_nan=True).encode()


@settings(max_examples=150, deadline=None)
@given(
    path=_POSTS, body=_ORDERS.map(as_json) | _ODD_SIZES.map(as_json) | st.binary(max_size=40), params=_PARAMS, get=_GETS
)
def test_coinbase_answers_anything(path, body, params, get):
    """Every POST body and every query gets a documented status and JSON, and no money is made or lost."""
    world = CoinbaseWorld()
    rest = CoinbaseRest(world.desk, world.keys, ROOMY)

    def ask(method, target, content=b""):
        timestamp = str(world.now // 10**9)
        signed = target if target.startswith("/v2/") else target.partition("?")[0]
        text = f"{timestamp}{method}{signed}{content.decode('utf-8', 'replace')}"
        sign = hmac.new(world.old_key.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        headers = CIMultiDict(
            {"CB-ACCESS-KEY": world.old_key.name, "CB-ACCESS-TIMESTAMP": timestamp, "CB-ACCESS-SIGN": sign}
        )
        return rest.handle(method, target, headers, content, now_ns=world.now)

    replies = [ask("POST", path, body), ask("GET", f"{get}?{urlencode(params)}" if params else get)]
    for reply in replies:
        assert reply.status in {200, 201, 400, 403, 404}
        assert isinstance(json.loads(reply.body), dict)
    world.venue.check_invariants()


class _Connection:
    """Takes frames as a connection would."""

    def __init__(self) -> None:
        self.frames = []

    def push(self, frame, kind=None) -> None:
        self.frames.append(json.loads(frame))

    def close(self) -> None:
        self.frames.append({})


_FRAMES = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["subscribe", "unsubscribe"]) | _ANY,
        "channel": st.sampled_from(["level2", "user", "heartbeats", "ticker"]) | _ANY,
        "product_ids": st.lists(st.sampled_from(["BTC-USD", "X"]) | _ANY, max_size=3) | _ANY,
        "jwt": _ANY,
        "api_key": _ANY,
        "timestamp": _ANY,
        "signature": _ANY,
    },
)


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=20) | _FRAMES.map(lambda frame: json.dumps(frame, allow_nan=True)))
def test_a_coinbase_session_answers_any_frame(text):
    """Every frame of a customer gets an answer: data and subscriptions, or an error."""

    async def run():
        world, connection = CoinbaseWorld(), _Connection()
        session = CoinbaseSession(world.desk, world.keys, connection)
        await session.on_text(text)
        session.stop()
        return connection.frames

    assert len(asyncio.run(run())) >= 1


@settings(max_examples=150, deadline=None)
@given(
    path=st.sampled_from(["buy/btcusd", "sell/btcusd", "buy/market/btcusd", "order_status", "cancel_order", "x"]),
    form=st.dictionaries(
        st.sampled_from(["amount", "price", "client_order_id", "id", "ioc_order", "fok_order", "limit"]),
        _NUMBERS.map(str) | st.text(max_size=6),
    ),
)
def test_bitstamp_answers_anything(path, form):
    """Every form gets a status and JSON, and no money is made or lost."""
    clock = CoinbaseWorld().clock
    venue = SimVenue(
        "bitstamp",
        instruments_of("bitstamp", "bitstamp", ("BTC/USD",)),
        BITSTAMP_TIERS,
        random.Random(1),
        BITSTAMP_POLICY,
    )
    venue.open_account("main", {"USD": Decimal(1000), "BTC": Decimal(1)}, clock.now_ns())
    key = venue.add_key(new_key(stream(1, "key"), "main"))
    venue.replace_market("BTC/USD", [(64990, 10**8)], [(65010, 10**8)], clock.now_ns())
    desk = Desk(venue, clock, FaultPlan(lambda name: stream(1, name)), LatencyModel(Latency(), stream(1, "l")))
    rest = BitstampRest(desk, stream(1, "tokens"))
    body, now_ns = urlencode(form), clock.now_ns()
    target, nonce, timestamp = f"/api/v2/{path}/", "n" * 36, str(now_ns // 10**6)
    kind = "application/x-www-form-urlencoded"
    text = f"BITSTAMP {key.key}POSThost{target}{kind}{nonce}{timestamp}v2{body}"
    headers = CIMultiDict(
        {
            "Host": "host",
            "Content-Type": kind,
            "X-Auth": f"BITSTAMP {key.key}",
            "X-Auth-Nonce": nonce,
            "X-Auth-Timestamp": timestamp,
            "X-Auth-Version": "v2",
            "X-Auth-Signature": hmac.new(key.secret.encode(), text.encode(), hashlib.sha256).hexdigest(),
        }
    )
    status, payload, _ = rest.handle("POST", target, "", headers, body.encode(), now_ns=now_ns)
    assert status in {200, 400, 404}
    assert isinstance(json.loads(payload), dict)
    venue.check_invariants()
