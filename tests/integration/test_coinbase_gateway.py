"""The Coinbase gateway against a scripted venue: bytes out, every kind of answer in, every page read."""

import json
import re
from decimal import Decimal

import jwt
import pytest
import pytest_asyncio
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from arbot.domain.errors import InvariantBroken, VenueRefused, VenueUnavailable
from arbot.domain.events import (
    CancelRejected,
    MovementState,
    OrderAccepted,
    OrderRejected,
    RejectCode,
    RequestOutcomeUnknown,
)
from arbot.domain.ids import VenueId
from arbot.domain.instrument import Balance, InstrumentStatus
from arbot.domain.order import Liquidity, OrderState
from arbot.domain.units import Amount
from arbot.ports import Credentials, Secret, VenueConfig
from arbot.runtime.clock import SystemClock
from arbot.venues.coinbase.gateway import CoinbaseGateway
from tests.support.orders import NAME, S, approved, cancel, query
from tests.support.scripted_venue import FAULTS, ScriptedVenue, serving

COINBASE = VenueId("coinbase")
PRIVATE_KEY = ec.generate_private_key(ec.SECP256R1())
PEM = PRIVATE_KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
).decode()
KEY_NAME = "organizations/o/apiKeys/k"
ORDER_ID = "c72fde0a-c4c4-41b1-81b4-dd86d8d831de"
BASE = "/api/v3/brokerage/"
ORDERS, BATCH, FILLS = BASE + "orders", BASE + "orders/historical/batch", BASE + "orders/historical/fills"
BY_ID = f"{BASE}orders/historical/{ORDER_ID}"

BTC = {
    "product_id": "BTC-USD",
    "base_currency_id": "BTC",
    "quote_currency_id": "USD",
    "base_increment": "0.00000001",
    "quote_increment": "0.01",
    "price_increment": "0.01",
    "quote_min_size": "1",
    "base_min_size": "0.00000001",
    "base_max_size": "3400",
    "status": "online",
}


def accepted(order_id=ORDER_ID, name=NAME):
    return {"success": True, "order_id": order_id, "success_response": {"order_id": order_id, "client_order_id": name}}


def order(order_id=ORDER_ID, name=NAME, status="FILLED", filled="0.5"):
    return {
        "order_id": order_id,
        "product_id": "BTC-USD",
        "client_order_id": name,
        "status": status,
        "filled_size": filled,
    }


def fill(trade_id="t1", order_id=ORDER_ID, size="0.5", at="2026-11-20T09:30:00.205Z", **more):
    facts = {"entry_id": f"e-{trade_id}", "trade_id": trade_id, "order_id": order_id, "trade_time": at, "size": size}
    facts |= {"trade_type": "FILL", "price": "65010.12", "commission": "195.03", "product_id": "BTC-USD", "side": "BUY"}
    return {**facts, "liquidity_indicator": "TAKER", "size_in_quote": False, **more}


def pages(rows, key, size=2):
    """Return an answer that pages by cursor."""

    def answer(fields):
        start = int(fields.get("cursor") or 0)
        is_last = start + size >= len(rows)
        return {
            key: rows[start : start + size],
            "cursor": "" if is_last else str(start + size),
            "has_next": not is_last,
        }

    return answer


def not_found(_fields):
    body = {"error": "NOT_FOUND", "error_details": "order with this orderID was not found", "message": ""}
    return web.Response(status=404, body=json.dumps(body).encode(), content_type="application/json")


@pytest_asyncio.fixture
async def venue():
    clock = SystemClock()
    script = ScriptedVenue()
    script.script = {
        BASE + "market/products": {"products": [BTC], "num_products": 1},
        BASE + "time": lambda _: {"iso": "", "epochSeconds": "0", "epochMillis": str(clock.now_ns() // 1_000_000)},
        ORDERS: accepted(),
        BATCH: pages([], "orders"),
        FILLS: pages([], "fills"),
    }
    async with serving(script):
        yield script


def make(venue, *, credentials=True):
    config = VenueConfig(
        venue=COINBASE, adapter="coinbase", symbols=("BTC/USD",), rest_url=venue.url, request_timeout_ms=400
    )
    pair = Credentials(key=Secret(KEY_NAME), secret=Secret(PEM)) if credentials else None
    return CoinbaseGateway(config, pair, SystemClock())


@pytest_asyncio.fixture
async def gateway(venue):
    gateway = make(venue)
    await gateway.load_instruments()
    yield gateway
    await gateway.close()


def now():
    return SystemClock().now_ns()


async def test_instrument(gateway):
    """Steps, minimums and names are the venue's."""
    (one,) = await gateway.load_instruments()
    assert (one.id, one.venue_symbol, one.tick_size, one.qty_step) == (
        "BTC/USD@coinbase",
        "BTC-USD",
        Decimal("0.01"),
        Decimal("1E-8"),
    )
    assert (one.price_decimals, one.qty_decimals, one.notional_min, one.qty_max) == (2, 8, Decimal(1), Decimal(3400))


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({}, InstrumentStatus.ONLINE),
        ({"cancel_only": True}, InstrumentStatus.CANCEL_ONLY),
        ({"post_only": True}, InstrumentStatus.POST_ONLY),
        ({"limit_only": True}, InstrumentStatus.LIMIT_ONLY),
        ({"trading_disabled": True}, InstrumentStatus.HALTED),
        ({"is_disabled": True}, InstrumentStatus.HALTED),
        ({"view_only": True}, InstrumentStatus.HALTED),
        ({"auction_mode": True}, InstrumentStatus.HALTED),
        ({"status": "delisted"}, InstrumentStatus.HALTED),
        ({"cancel_only": True, "trading_disabled": True}, InstrumentStatus.HALTED),
    ],
)
async def test_instrument_status(venue, gateway, facts, status):
    """Every flag that limits trading counts, not only the one that ccxt reads."""
    venue.script[BASE + "market/products"] = {"products": [{**BTC, **facts}]}
    assert (await gateway.load_instruments())[0].status == status


async def test_order_leaves_as_it_was_approved(venue, gateway):
    """The body names our order under the venue's own key, with texts for numbers."""
    events = await gateway.submit(approved(COINBASE, now()))
    assert events == (OrderAccepted(client_order_id=NAME, venue_order_id=ORDER_ID),)
    assert venue.fields(ORDERS) == [
        {
            "client_order_id": NAME,
            "product_id": "BTC-USD",
            "side": "BUY",
            "order_configuration": {"sor_limit_ioc": {"base_size": "0.5", "limit_price": "65010.3"}},
        }
    ]


async def test_no_number_of_json_leaves(venue, gateway):
    """Quantities and prices are texts, so no parser on the way can turn them into floats."""
    await gateway.submit(approved(COINBASE, now(), qty=Decimal("1E-8"), limit_price=Decimal("1E+9")))
    (body,) = venue.bodies(ORDERS)
    assert re.findall(rb"[:\[,]\s*-?\d", body) == []
    assert b'"base_size":"0.00000001","limit_price":"1000000000"' in body.replace(b" ", b"")


@pytest.mark.parametrize("name", FAULTS)
async def test_fault_after_the_request_is_unknown_and_never_repeated(venue, gateway, name):
    """Whatever the wire does, the answer is unknown and the order was transmitted exactly once."""
    venue.faults[ORDERS] = name
    (event,) = await gateway.submit(approved(COINBASE, now()))
    assert isinstance(event, RequestOutcomeUnknown)
    assert (event.request, len(venue.bodies(ORDERS)), len(venue.bodies("/elsewhere"))) == ("submit", 1, 0)


async def test_answer_about_another_order_is_unknown(venue, gateway):
    """The venue has to echo our name."""
    venue.script[ORDERS] = accepted(name="ccxt-0123")
    assert isinstance((await gateway.submit(approved(COINBASE, now())))[0], RequestOutcomeUnknown)


async def test_listed_refusal_is_a_rejection(venue, gateway):
    """The venue's reason becomes a code."""
    venue.script[ORDERS] = {"success": False, "error_response": {"error": "INSUFFICIENT_FUND", "message": "too little"}}
    (event,) = await gateway.submit(approved(COINBASE, now()))
    assert isinstance(event, OrderRejected)
    assert event.code == RejectCode.INSUFFICIENT_FUNDS


@pytest.mark.parametrize(
    "changes", [{"limit_price": Decimal("1.001")}, {"qty": Decimal("1E-9")}, {"qty": Decimal(4000)}]
)
async def test_order_that_the_venue_could_not_take_never_leaves(venue, gateway, changes):
    """Off-step or too large orders are a bug of ours: nothing is sent."""
    with pytest.raises(InvariantBroken):
        await gateway.submit(approved(COINBASE, now(), **changes))
    assert venue.bodies(ORDERS) == []


async def test_late_order_and_missing_key_never_leave(venue, gateway):
    """What we know to be pointless is refused by ourselves, with certainty."""
    (event,) = await gateway.submit(approved(COINBASE, now() - 4 * S))
    assert event.code == RejectCode.DEADLINE
    keyless = make(venue, credentials=False)
    await keyless.load_instruments()
    (event,) = await keyless.submit(approved(COINBASE, now()))
    with pytest.raises(VenueRefused, match="API key"):
        keyless.ws_jwt()
    await keyless.close()
    assert (event.code, venue.bodies(ORDERS)) == (RejectCode.KEY_REFUSED, [])


async def test_query_searches_all_pages_by_our_name(venue, gateway):
    """The list has no filter by name: every page is read, without a filter on status."""
    others = [order(f"o{number}", f"foreign-{number}") for number in range(5)]
    venue.script[BATCH] = pages([*others, order()], "orders")
    venue.script[FILLS] = pages([fill("t1", size="0.2"), fill("t2", size="0.2"), fill("t3", size="0.1")], "fills")
    *fills, report = await gateway.query(query(COINBASE, now()))
    assert [event.fill.trade_id for event in fills] == ["t1", "t2", "t3"]
    assert (report.state, report.filled_qty, report.venue_order_id) == (OrderState.FILLED, Decimal("0.5"), ORDER_ID)
    assert [fields.get("cursor") for fields in venue.fields(BATCH)] == [None, "2", "4"]
    assert "order_status" not in venue.fields(BATCH)[0]
    assert venue.fields(FILLS)[0]["order_ids"] == ORDER_ID


async def test_query_by_the_venues_id_first(venue, gateway):
    """An order that the venue has named is asked for directly."""
    venue.script[BY_ID] = {"order": order(status="CANCELLED", filled="0")}
    (report,) = await gateway.query(query(COINBASE, now(), venue_order_id=ORDER_ID))
    assert (report.state, report.sources, venue.bodies(BATCH)) == (OrderState.CANCELED, 1, [])


async def test_query_of_an_order_nobody_knows(venue, gateway):
    """Absence is reported as unknown, with the number of places looked at."""
    venue.script[BY_ID] = not_found
    (report,) = await gateway.query(query(COINBASE, now()))
    assert (report.state, report.sources) == (OrderState.UNKNOWN, 2)
    (report,) = await gateway.query(query(COINBASE, now(), venue_order_id=ORDER_ID))
    assert (report.state, report.sources) == (OrderState.UNKNOWN, 3)


async def test_query_finds_an_unlisted_order_by_its_fill(venue, gateway):
    """Fills are a second source: an order that the list does not show yet is found through them."""
    venue.script[FILLS] = pages([fill()], "fills")
    venue.script[BY_ID] = {"order": order()}
    filled, report = await gateway.query(query(COINBASE, now()))
    assert (filled.fill.client_order_id, report.state) == (NAME, OrderState.FILLED)


@pytest.mark.parametrize("broken", [BATCH, FILLS])
async def test_query_that_cannot_ask_everywhere_says_nothing(venue, gateway, broken):
    """Half an answer is no answer."""
    venue.faults[broken] = "status_503"
    assert await gateway.query(query(COINBASE, now())) == ()


@pytest.mark.parametrize(
    ("status", "filled", "state"),
    [
        ("PENDING", "0", OrderState.OPEN),
        ("QUEUED", "0", OrderState.OPEN),
        ("OPEN", "0.1", OrderState.PART_FILLED),
        ("CANCEL_QUEUED", "0", OrderState.OPEN),
        ("EDIT_QUEUED", "0", OrderState.OPEN),
        ("FILLED", "0.5", OrderState.FILLED),
        ("CANCELLED", "0.1", OrderState.CANCELED),
        ("EXPIRED", "0", OrderState.EXPIRED),
        ("FAILED", "0", OrderState.REJECTED),
        ("FAILED", "0.1", OrderState.CANCELED),
        ("UNKNOWN_ORDER_STATUS", "0", OrderState.OPEN),
    ],
)
async def test_order_states(venue, gateway, status, filled, state):
    """The venue's words become our states; a word nobody knows leaves the order open."""
    venue.script[BATCH] = pages([order(status=status, filled=filled)], "orders")
    (report,) = await gateway.query(query(COINBASE, now()))
    assert (report.state, report.filled_qty) == (state, Decimal(filled))


async def test_fills_are_mapped_to_our_names(venue, gateway):
    """Fills carry only the venue's order id: orders are looked up once, and those that are not ours are left out."""
    rows = [
        fill("t2", at="2026-11-20T09:30:01Z"),
        fill("t1", at="2026-11-20T09:30:00Z"),
        fill("human", "o-human"),
        fill("old", at="2026-11-20T09:29:00Z"),
    ]
    orders = {ORDER_ID: order(), "o-human": order("o-human", "typed by hand")}
    venue.script[FILLS] = pages(rows, "fills", 3)
    venue.script[BATCH] = lambda fields: {"orders": [orders[one] for one in fields["order_ids"]], "has_next": False}
    since_ns = 1795166970 * S  # 2026-11-20T09:29:30Z
    first = await gateway.fetch_fills(since_ns)
    assert [(one.trade_id, one.liquidity, one.fee) for one in first] == [
        ("t1", Liquidity.TAKER, Amount(Decimal("195.03"), "USD")),
        ("t2", Liquidity.TAKER, Amount(Decimal("195.03"), "USD")),
    ]
    await gateway.fetch_fills(since_ns)
    assert len(venue.bodies(BATCH)) == 1


async def test_adjusted_fills_have_names_of_their_own(venue, gateway):
    """A reversal repeats the trade id of what it undoes: the entry id tells them apart, and its sign is turned."""
    rows = [
        fill("t1"),
        fill("t1", entry_id="e2", trade_type="REVERSAL"),
        fill("t1", entry_id="e3", trade_type="CORRECTION", size="0.4"),
    ]
    venue.script[FILLS] = pages(rows, "fills", 5)
    venue.script[BATCH] = pages([order()], "orders")
    found = await gateway.fetch_fills(0)
    assert [(one.trade_id, one.is_reversal) for one in found] == [("t1", False), ("t1:e2", True), ("t1:e3", False)]
    assert sum(one.qty * (-1 if one.is_reversal else 1) for one in found) == Decimal("0.4")


@pytest.mark.parametrize(
    "change", [{"trade_type": "MAGIC"}, {"size_in_quote": True}, {"price": "0"}, {"trade_time": None}]
)
async def test_fill_that_cannot_be_booked_is_not_dropped(venue, gateway, change):
    """A fill of ours that is not understood stops the list rather than vanish."""
    venue.script[FILLS] = pages([fill(**change)], "fills")
    venue.script[BATCH] = pages([order()], "orders")
    with pytest.raises(VenueUnavailable, match="unreadable fill"):
        await gateway.fetch_fills(0)


async def test_balances_of_every_page_with_holds(venue, gateway):
    """Total is available plus hold; vaults are not for trading."""

    def account(currency, available, hold, kind="ACCOUNT_TYPE_CRYPTO"):
        return {
            "currency": currency,
            "available_balance": {"value": available},
            "hold": {"value": hold},
            "type": kind,
            "active": True,
        }

    rows = [
        account("BTC", "1.23", "0.5"),
        account("ETH", "2", "0"),
        account("BTC", "9", "0", "ACCOUNT_TYPE_VAULT"),
        account("USD", "10.01", "0.99", "ACCOUNT_TYPE_FIAT"),
    ]
    venue.script[BASE + "accounts"] = pages(rows, "accounts")
    assert await gateway.fetch_balances() == (
        Balance(asset="BTC", total=Decimal("1.73"), reserved=Decimal("0.5")),
        Balance(asset="ETH", total=Decimal(2), reserved=Decimal(0)),
        Balance(asset="USD", total=Decimal("11.00"), reserved=Decimal("0.99")),
    )


async def test_cursor_that_leads_in_a_circle_is_not_followed_for_ever(venue, gateway):
    """A cursor seen before ends the reading with an error."""
    venue.script[BASE + "accounts"] = {"accounts": [], "cursor": "again", "has_next": True}
    with pytest.raises(VenueUnavailable, match="without end"):
        await gateway.fetch_balances()


@pytest.mark.parametrize(
    ("tier", "is_usable"),
    [
        ({"taker_fee_rate": "0.004", "maker_fee_rate": "0.0025"}, True),
        ({"taker_fee_rate": "0.004", "maker_fee_rate": "0"}, True),
        ({"taker_fee_rate": "0", "maker_fee_rate": "0"}, False),
        ({"taker_fee_rate": "", "maker_fee_rate": ""}, False),
        ({}, False),
        (None, False),
    ],
)
async def test_fees(venue, gateway, tier, is_usable):
    """The account's tier gives the rates; nothing or zero is no rate."""
    venue.script[BASE + "transaction_summary"] = {"fee_tier": tier}
    if is_usable:
        assert (await gateway.fetch_fees())[0].taker == Decimal("0.004")
    else:
        with pytest.raises(VenueUnavailable):
            await gateway.fetch_fees()


async def test_cancel(venue, gateway):
    """An order is cancelled by the venue's id, looked up when we have none."""
    venue.script[BATCH] = pages([order(status="OPEN", filled="0")], "orders")
    venue.script[ORDERS + "/batch_cancel"] = {"results": [{"success": True, "order_id": ORDER_ID}]}
    assert await gateway.cancel(cancel(COINBASE)) == ()
    assert venue.fields(ORDERS + "/batch_cancel") == [{"order_ids": [ORDER_ID]}]
    refusal = {"success": False, "failure_reason": "UNKNOWN_CANCEL_ORDER", "order_id": ORDER_ID}
    venue.script[ORDERS + "/batch_cancel"] = {"results": [refusal]}
    assert isinstance((await gateway.cancel(cancel(COINBASE)))[0], CancelRejected)
    venue.faults[ORDERS + "/batch_cancel"] = "status_502"
    (event,) = await gateway.cancel(cancel(COINBASE))
    assert (type(event), event.request) == (RequestOutcomeUnknown, "cancel")


async def test_open_orders_include_those_still_queued(venue, gateway):
    """The OPEN filter hides pending orders, so recent orders are listed without it too."""
    everything = [order("o1", status="OPEN"), order("o2", status="PENDING"), order("o3"), order("o4", "x", "QUEUED")]

    def listed(fields):
        return {"orders": [one for one in everything if fields.get("order_status") in (None, one["status"])]}

    venue.script[BATCH] = listed
    found = await gateway.fetch_open_orders()
    assert [(one.venue_order_id, one.client_order_id) for one in found] == [("o1", NAME), ("o2", NAME), ("o4", None)]


async def test_cancel_all_touches_only_our_own_orders(venue, gateway):
    """Orders of people and other programs stay."""
    opened = {"o1": order("o1", status="OPEN"), "human": order("human", "typed by hand", "OPEN")}
    venue.script[BATCH] = lambda _: {"orders": list(opened.values())}

    def canceled(fields):
        (order_id,) = fields["order_ids"]
        del opened[order_id]
        return {"results": [{"success": True, "order_id": order_id}]}

    venue.script[ORDERS + "/batch_cancel"] = canceled
    assert await gateway.cancel_all() == 0
    assert list(opened) == ["human"]


async def test_permissions(venue, gateway):
    """What the key may do is read; an unreadable answer is no permission."""
    told = {"can_view": True, "can_trade": True, "can_transfer": False, "portfolio_uuid": "p1"}
    venue.script[BASE + "key_permissions"] = told
    found = await gateway.fetch_permissions()
    assert (found.can_trade, found.can_withdraw, found.account, found.raw) == (
        True,
        False,
        "p1",
        ("can_trade", "can_view"),
    )
    venue.script[BASE + "key_permissions"] = {**told, "can_mint": True}
    with pytest.raises(VenueRefused, match="can_mint"):
        await gateway.fetch_permissions()
    venue.script[BASE + "key_permissions"] = {"can_view": True}
    with pytest.raises(VenueUnavailable):
        await gateway.fetch_permissions()


async def test_transfers(venue, gateway):
    """A withdrawal's fee stands apart from its amount; trades in the history are no transfers."""

    def row(name, kind, amount, status="completed", network=None):
        facts = {"id": name, "type": kind, "status": status, "amount": {"amount": amount, "currency": "BTC"}}
        return {**facts, "created_at": "2026-11-20T09:30:00Z", "network": network}

    fee = {"transaction_fee": {"amount": "0.0001", "currency": "BTC"}}
    rows = [
        row("w", "send", "-0.1001", "pending", fee),
        row("d", "send", "0.5"),
        row("t", "advanced_trade_fill", "1"),
    ]
    accounts = [{"id": "acc-BTC", "currency": {"code": "BTC"}}, {"id": "acc-XYZ", "currency": {"code": "XYZ"}}]
    venue.script["/v2/accounts"] = {"pagination": {"next_starting_after": None}, "data": accounts}
    venue.script["/v2/accounts/acc-BTC/transactions"] = {"pagination": {}, "data": rows}
    withdrawal, deposit = await gateway.fetch_transfers(0)
    assert (withdrawal.qty, withdrawal.fee, withdrawal.state) == (
        Decimal("-0.1"),
        Decimal("0.0001"),
        MovementState.PENDING,
    )
    assert (deposit.qty, deposit.fee, deposit.state) == (Decimal("0.5"), Decimal(0), MovementState.DONE)


async def test_each_websocket_token_is_fresh_and_ours(gateway):
    """Two tokens differ, and both verify with the key."""
    tokens = {gateway.ws_jwt(), gateway.ws_jwt()}
    assert len(tokens) == 2
    for token in tokens:
        claims = jwt.decode(token, PRIVATE_KEY.public_key(), algorithms=["ES256"], options={"verify_aud": False})
        assert (claims["sub"], claims["exp"] - claims["nbf"]) == (KEY_NAME, 120)
