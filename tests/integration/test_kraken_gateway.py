"""The Kraken gateway against a scripted venue: bytes out, every kind of answer in, every page read."""

import base64
import re
from decimal import Decimal

import pytest
import pytest_asyncio

from arbot.domain.errors import InvariantBroken, VenueRefused, VenueUnavailable
from arbot.domain.events import (
    CancelRejected,
    MovementState,
    OrderAccepted,
    OrderFilled,
    OrderRejected,
    OrderStatusReported,
    RejectCode,
    RequestOutcomeUnknown,
)
from arbot.domain.ids import VenueId
from arbot.domain.instrument import Balance, InstrumentStatus
from arbot.domain.order import Liquidity, OrderState, TimeInForce
from arbot.domain.units import Amount
from arbot.ports import Credentials, Secret, VenueConfig
from arbot.runtime.clock import SystemClock
from arbot.venues.kraken.gateway import KrakenGateway
from arbot.venues.nonce import MemoryMark
from tests.support.orders import NAME, S, approved, cancel, query
from tests.support.scripted_venue import FAULTS, ScriptedVenue, serving

KRAKEN = VenueId("kraken")
SECRET = base64.b64encode(bytes(range(64))).decode()
TXID = "OQ7YTR-4KD2A-XP55LM"
PUBLIC, PRIVATE = "/0/public/", "/0/private/"

ASSETS = {
    "XXBT": {"altname": "XBT", "decimals": 10},
    "ZUSD": {"altname": "USD", "decimals": 4},
    "XXDG": {"altname": "XDG", "decimals": 8},
    "XBT.F": {"altname": "XBT.F", "decimals": 10},
}
BTC = {
    "altname": "XBTUSD",
    "wsname": "XBT/USD",
    "base": "XXBT",
    "quote": "ZUSD",
    "pair_decimals": 1,
    "lot_decimals": 8,
    "ordermin": "0.00005",
    "costmin": "0.5",
    "tick_size": "0.1",
    "status": "online",
}
DOGE = {**BTC, "altname": "XDGUSD", "wsname": "XDG/USD", "base": "XXDG", "pair_decimals": 7, "tick_size": "0.0000010"}


def ok(result):
    return {"error": [], "result": result}


def refused(text):
    return {"error": [text]}


def order(status="closed", vol="0.50000000", vol_exec="0.50000000", name=NAME, oflags="fciq", **more):
    descr = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "65010.3"}
    facts = {"status": status, "opentm": 1795313388.6064, "vol": vol, "vol_exec": vol_exec, "oflags": oflags}
    return {**facts, "cl_ord_id": name, "descr": descr, **more}


def trade(txid=TXID, vol="0.50000000", at=1795313388.6067, **more):
    facts = {"ordertxid": txid, "pair": "XXBTZUSD", "time": at, "type": "buy", "price": "65010.10000", "vol": vol}
    return {**facts, "cost": "32505.05000", "fee": "130.02020", "maker": False, **more}


@pytest_asyncio.fixture
async def venue():
    clock = SystemClock()
    script = ScriptedVenue()
    script.script = {
        PUBLIC + "Assets": ok(ASSETS),
        PUBLIC + "AssetPairs": ok({"XXBTZUSD": BTC, "XDGUSD": DOGE}),
        PUBLIC + "Time": lambda _: ok({"unixtime": clock.now_ns() // S}),
        PRIVATE + "AddOrder": ok({"descr": {"order": "buy"}, "txid": [TXID]}),
    }
    async with serving(script):
        yield script


def make(venue, *, timeout_ms=400, credentials=True, **more):
    config = VenueConfig(
        venue=KRAKEN,
        adapter="kraken",
        symbols=("BTC/USD", "DOGE/USD"),
        tier="pro",
        rest_url=venue.url,
        request_timeout_ms=timeout_ms,
    )
    pair = Credentials(key=Secret("KEYTEXT"), secret=Secret(SECRET)) if credentials else None
    return KrakenGateway(config, pair, SystemClock(), **more)


@pytest_asyncio.fixture
async def gateway(venue):
    gateway = make(venue)
    await gateway.load_instruments()
    yield gateway
    await gateway.close()


def now():
    return SystemClock().now_ns()


async def test_instruments_have_krakens_own_steps(gateway):
    """Tick size is the venue's field, decimals are those of the wire, and names are the field's."""
    bitcoin, dogecoin = await gateway.load_instruments()
    assert (bitcoin.id, bitcoin.venue_symbol, bitcoin.base) == ("BTC/USD@kraken", "XXBTZUSD", "BTC")
    assert (bitcoin.tick_size, bitcoin.price_decimals, bitcoin.qty_step) == (Decimal("0.1"), 1, Decimal("1E-8"))
    assert (bitcoin.qty_min, bitcoin.notional_min) == (Decimal("0.00005"), Decimal("0.5"))
    assert (dogecoin.symbol, dogecoin.tick_size, dogecoin.price_decimals) == ("DOGE/USD", Decimal("0.000001"), 7)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("online", InstrumentStatus.ONLINE),
        ("cancel_only", InstrumentStatus.CANCEL_ONLY),
        ("post_only", InstrumentStatus.POST_ONLY),
        ("limit_only", InstrumentStatus.LIMIT_ONLY),
        ("reduce_only", InstrumentStatus.HALTED),
        ("a status of next year", InstrumentStatus.HALTED),
    ],
)
async def test_instrument_status(venue, gateway, status, expected):
    """A status that is not known means that nothing may be traded."""
    venue.script[PUBLIC + "AssetPairs"] = ok({"XXBTZUSD": {**BTC, "status": status}, "XDGUSD": DOGE})
    assert (await gateway.load_instruments())[0].status == expected


async def test_missing_instrument_is_refused(venue, gateway):
    """A configured symbol that the venue does not list is an error, not a shorter list."""
    venue.script[PUBLIC + "AssetPairs"] = ok({"XXBTZUSD": BTC})
    with pytest.raises(VenueRefused, match="DOGE/USD"):
        await gateway.load_instruments()


async def test_order_leaves_as_it_was_approved(venue, gateway):
    """Every field is a plain text, the fee is asked for in quote, and the deadline is the intent's."""
    intent = approved(KRAKEN, now())
    events = await gateway.submit(intent)
    (fields,) = venue.fields(PRIVATE + "AddOrder")
    assert events == (OrderAccepted(client_order_id=NAME, venue_order_id=TXID),)
    assert re.fullmatch(r"\d{13}", fields.pop("nonce"))
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", fields.pop("deadline"))
    assert fields == {
        "pair": "XXBTZUSD",
        "type": "buy",
        "ordertype": "limit",
        "volume": "0.5",
        "price": "65010.3",
        "timeinforce": "IOC",
        "cl_ord_id": NAME,
        "oflags": "fciq",
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"limit_price": Decimal("65010.31")},
        {"qty": Decimal("0.000000001")},
        {"qty": Decimal("0.00001")},
        {"qty": Decimal(0)},
        {"limit_price": Decimal(-1)},
        {"tif": TimeInForce.FOK},
        {"instrument": "ETH/USD@kraken"},
        {"instrument": "DOGE/USD@kraken", "limit_price": Decimal("0.0000015")},
    ],
)
async def test_order_that_the_venue_could_not_take_never_leaves(venue, gateway, changes):
    """Off-step, too small, or unknown orders are a bug of ours: nothing is sent."""
    with pytest.raises(InvariantBroken):
        await gateway.submit(approved(KRAKEN, now(), **changes))
    assert venue.bodies(PRIVATE + "AddOrder") == []


async def test_numbers_on_the_wire_have_no_exponent(venue, gateway):
    """Small and large numbers are written out."""
    intent = approved(KRAKEN, now(), symbol="DOGE/USD", qty=Decimal("1E+7"), limit_price=Decimal("1E-6"), base="DOGE")
    await gateway.submit(intent)
    (fields,) = venue.fields(PRIVATE + "AddOrder")
    assert (fields["volume"], fields["price"]) == ("10000000", "0.000001")


@pytest.mark.parametrize("name", FAULTS)
async def test_fault_after_the_request_is_unknown_and_never_repeated(venue, gateway, name):
    """Whatever the wire does, the answer is unknown and the order was transmitted exactly once."""
    venue.faults[PRIVATE + "AddOrder"] = name
    (event,) = await gateway.submit(approved(KRAKEN, now()))
    assert isinstance(event, RequestOutcomeUnknown)
    assert (event.request, len(venue.bodies(PRIVATE + "AddOrder")), len(venue.bodies("/elsewhere"))) == ("submit", 1, 0)


async def test_venue_that_is_down_leaves_the_outcome_unknown(gateway):
    """A refused connection is not proof, as the class of error is the same as after an acceptance."""
    gateway._signer.urls["api"]["private"] = "http://127.0.0.1:1"
    (event,) = await gateway.submit(approved(KRAKEN, now()))
    assert isinstance(event, RequestOutcomeUnknown)


async def test_listed_refusal_is_a_rejection(venue, gateway):
    """The venue's own words become a code."""
    venue.script[PRIVATE + "AddOrder"] = refused("EOrder:Insufficient funds")
    (event,) = await gateway.submit(approved(KRAKEN, now()))
    assert event == OrderRejected(
        client_order_id=NAME, code=RejectCode.INSUFFICIENT_FUNDS, detail="EOrder:Insufficient funds"
    )


async def test_order_past_its_deadline_never_leaves(venue, gateway):
    """What waited too long is refused by ourselves, with certainty."""
    (event,) = await gateway.submit(approved(KRAKEN, now() - 4 * S))
    assert (event.code, venue.bodies(PRIVATE + "AddOrder")) == (RejectCode.DEADLINE, [])


async def test_rate_limit_of_the_venue_stops_the_next_order(venue, gateway):
    """After the venue complained, its counter counts as full and the next order stays here."""
    venue.script[PRIVATE + "AddOrder"] = refused("EOrder:Rate limit exceeded")
    await gateway.submit(approved(KRAKEN, now()))
    instrument = gateway._instruments["BTC/USD@kraken"]
    assert not gateway.has_arb_budget(instrument)


async def test_nonces_rise_over_restarts(venue):
    """A gateway that starts from a mark ahead of the clock goes on from there."""
    ahead = now() // 1_000_000 + 60_000
    gateway = make(venue, nonce_mark=MemoryMark(ahead))
    await gateway.load_instruments()
    for _ in range(3):
        await gateway.submit(approved(KRAKEN, now()))
    await gateway.close()
    assert [int(fields["nonce"]) for fields in venue.fields(PRIVATE + "AddOrder")] == [ahead + 1, ahead + 2, ahead + 3]


async def test_query_reports_fills_then_the_order(venue, gateway):
    """A closed order is found by our name, and its fills by its id, through the wrong trades beside it."""
    venue.script |= {
        PRIVATE + "OpenOrders": ok({"open": {"OTHER": order(name="not-the-one", status="open")}}),
        PRIVATE + "ClosedOrders": ok({"closed": {TXID: order()}, "count": 1}),
        PRIVATE + "TradesHistory": ok({"trades": {"T1": trade(), "T2": trade(txid="OTHER")}, "count": 2}),
    }
    filled, report = await gateway.query(query(KRAKEN, now()))
    assert isinstance(filled, OrderFilled)
    fill = filled.fill
    assert (fill.trade_id, fill.qty, fill.price) == ("T1", Decimal("0.5"), Decimal("65010.1"))
    assert (fill.fee, fill.liquidity) == (Amount(Decimal("130.0202"), "USD"), Liquidity.TAKER)
    assert fill.venue_ts_ns == 1795313388_606_700_000
    assert (report.state, report.filled_qty, report.venue_order_id) == (OrderState.FILLED, Decimal("0.5"), TXID)
    assert venue.fields(PRIVATE + "OpenOrders")[0]["cl_ord_id"] == NAME


async def test_query_reads_every_page(venue, gateway):
    """Closed orders and trades come by fifty: all pages are read, also when the order is on the last."""
    closed = {f"O{number:03}": order(name=f"foreign{number}") for number in range(119)} | {TXID: order()}
    trades = {f"T{number:03}": trade(vol="0.005") for number in range(100)}

    def page(rows, key):
        def answer(fields):
            start = int(fields.get("ofs", 0))
            return ok({key: dict(list(rows.items())[start : start + 50]), "count": len(rows)})

        return answer

    venue.script |= {
        PRIVATE + "OpenOrders": ok({"open": {}}),
        PRIVATE + "ClosedOrders": page(closed, "closed"),
        PRIVATE + "TradesHistory": page(trades, "trades"),
    }
    *fills, report = await gateway.query(query(KRAKEN, now()))
    assert (len(fills), sum(event.fill.qty for event in fills)) == (100, Decimal("0.5"))
    assert report.state == OrderState.FILLED


async def test_query_of_an_order_nobody_knows(venue, gateway):
    """Absence is reported as unknown, with the number of places looked at."""
    venue.script |= {
        PRIVATE + "OpenOrders": ok({"open": {}}),
        PRIVATE + "ClosedOrders": ok({"closed": {}, "count": 0}),
        PRIVATE + "QueryOrders": ok({}),
    }
    (report,) = await gateway.query(query(KRAKEN, now()))
    assert isinstance(report, OrderStatusReported)
    assert (report.state, report.sources, report.filled_qty) == (OrderState.UNKNOWN, 2, 0)
    (report,) = await gateway.query(query(KRAKEN, now(), venue_order_id=TXID))
    assert (report.state, report.sources, report.venue_order_id) == (OrderState.UNKNOWN, 3, TXID)


@pytest.mark.parametrize("broken", ["OpenOrders", "ClosedOrders", "TradesHistory"])
async def test_query_that_cannot_ask_everywhere_says_nothing(venue, gateway, broken):
    """Half an answer is no answer."""
    venue.script |= {
        PRIVATE + "OpenOrders": ok({"open": {}}),
        PRIVATE + "ClosedOrders": ok({"closed": {TXID: order()}, "count": 1}),
        PRIVATE + "TradesHistory": ok({"trades": {"T1": trade()}, "count": 1}),
        PRIVATE + broken: refused("EService:Unavailable"),
    }
    assert await gateway.query(query(KRAKEN, now())) == ()


@pytest.mark.parametrize(
    ("status", "vol_exec", "state"),
    [
        ("pending", "0", OrderState.OPEN),
        ("open", "0.1", OrderState.PART_FILLED),
        ("closed", "0.5", OrderState.FILLED),
        ("closed", "0.4", OrderState.CANCELED),
        ("canceled", "0.4", OrderState.CANCELED),
        ("expired", "0", OrderState.EXPIRED),
        ("a status of next year", "0", OrderState.OPEN),
    ],
)
async def test_order_states(venue, gateway, status, vol_exec, state):
    """The venue's words become our states; a word nobody knows leaves the order open."""
    venue.script |= {
        PRIVATE + "OpenOrders": ok({"open": {TXID: order(status=status, vol_exec=vol_exec)}}),
        PRIVATE + "ClosedOrders": ok({"closed": {}, "count": 0}),
        PRIVATE + "TradesHistory": ok({"trades": {}, "count": 0}),
    }
    (report,) = await gateway.query(query(KRAKEN, now()))
    assert (report.state, report.filled_qty) == (state, Decimal(vol_exec))


async def test_two_orders_of_one_name_are_counted_together(venue, gateway):
    """Kraken's names are unique among open orders only, so a doubled request shows as the sum of both."""
    venue.script |= {
        PRIVATE + "OpenOrders": ok({"open": {}}),
        PRIVATE + "ClosedOrders": ok({"closed": {TXID: order(), "OTWIN": order()}, "count": 2}),
        PRIVATE + "TradesHistory": ok({"trades": {"T1": trade(), "T2": trade(txid="OTWIN")}, "count": 2}),
    }
    *fills, report = await gateway.query(query(KRAKEN, now()))
    assert (len(fills), report.filled_qty) == (2, Decimal(1))


async def test_fills_are_mapped_to_our_names(venue, gateway):
    """Trades of orders that are not ours are left out; the fee is in the asset the order's flags say."""
    trades = {
        "T1": trade(at=1795313390.5),
        "T2": trade(txid="OBASE", at=1795313389.5),
        "T3": trade(txid="OHUMAN"),
        "T4": trade(at=1795313300),
    }
    orders = {TXID: order(), "OBASE": order(oflags="fcib"), "OHUMAN": order(name=None)}
    venue.script |= {
        PRIVATE + "TradesHistory": ok({"trades": trades, "count": 4}),
        PRIVATE + "QueryOrders": lambda fields: ok({txid: orders[txid] for txid in fields["txid"].split(",")}),
    }
    fills = await gateway.fetch_fills(1795313380 * S)
    assert [(fill.trade_id, fill.fee.asset) for fill in fills] == [("T2", "BTC"), ("T1", "USD")]
    await gateway.fetch_fills(1795313380 * S)
    assert len(venue.bodies(PRIVATE + "QueryOrders")) == 1


async def test_fill_of_an_order_that_cannot_be_found_is_not_dropped(venue, gateway):
    """A trade whose order is not listed might be ours, so the list is not given at all."""
    venue.script |= {
        PRIVATE + "TradesHistory": ok({"trades": {"T1": trade()}, "count": 1}),
        PRIVATE + "QueryOrders": ok({}),
    }
    with pytest.raises(VenueUnavailable, match=TXID):
        await gateway.fetch_fills(0)


async def test_history_that_is_shorter_than_announced_is_not_believed(venue, gateway):
    """A short list may be a page."""
    venue.script[PRIVATE + "TradesHistory"] = lambda fields: ok(
        {"trades": {} if "ofs" in fields else {"T1": trade()}, "count": 7}
    )
    with pytest.raises(VenueUnavailable, match="more were announced"):
        await gateway.fetch_fills(0)


async def test_balances_bear_the_fields_names(venue, gateway):
    """XXBT is BTC with what is on hold; money that is elsewhere and dust of other assets is listed apart."""
    held = {
        "XXBT": {"balance": "2.5000000000", "hold_trade": "0.2500000000"},
        "ZUSD": {"balance": "67364.9298", "hold_trade": "0.0000"},
        "XBT.F": {"balance": "1", "hold_trade": "0"},
        "SHINY": {"balance": "1", "hold_trade": "0"},
    }
    venue.script[PRIVATE + "BalanceEx"] = ok(held)
    assert await gateway.fetch_balances() == (
        Balance(asset="BTC", total=Decimal("2.5"), reserved=Decimal("0.25")),
        Balance(asset="USD", total=Decimal("67364.9298"), reserved=Decimal(0)),
    )
    assert gateway.assets_ignored == ("XBT.F", "SHINY")


async def test_unknown_spelling_of_an_asset_we_trade_is_refused(venue, gateway):
    """It could be money, so it is not passed over."""
    venue.script[PRIVATE + "BalanceEx"] = ok({"XBT.Q": {"balance": "1", "hold_trade": "0"}})
    with pytest.raises(VenueRefused, match=r"XBT\.Q"):
        await gateway.fetch_balances()


FEES = {"fees": {"XXBTZUSD": {"fee": "0.3500"}, "XDGUSD": {"fee": "0.4"}}}
MAKER = {"fees_maker": {"XXBTZUSD": {"fee": "0.2000"}, "XDGUSD": {"fee": "0"}}}


async def test_fees_are_fractions(venue, gateway):
    """Percent become fractions, for every configured pair in one call."""
    venue.script[PRIVATE + "TradeVolume"] = ok({**FEES, **MAKER})
    bitcoin, dogecoin = await gateway.fetch_fees()
    assert (bitcoin.taker, bitcoin.maker) == (Decimal("0.0035"), Decimal("0.002"))
    assert (dogecoin.taker, dogecoin.maker) == (Decimal("0.004"), Decimal(0))
    assert venue.fields(PRIVATE + "TradeVolume")[0]["pair"] == "XXBTZUSD,XDGUSD"


@pytest.mark.parametrize(
    "volume",
    [
        {},
        FEES,
        {**MAKER, "fees": {"XXBTZUSD": {"fee": "0"}, "XDGUSD": {"fee": "0.4"}}},
        {**MAKER, "fees": {"XXBTZUSD": {"fee": "0.4"}}},
        {**MAKER, "fees": {"XXBTZUSD": {"fee": "400"}, "XDGUSD": {"fee": "0.4"}}},
    ],
)
async def test_missing_or_zero_fee_is_not_a_free_trade(venue, gateway, volume):
    """Rates that are missing, zero or absurd stop trading rather than flatter it."""
    venue.script[PRIVATE + "TradeVolume"] = ok(volume)
    with pytest.raises(VenueUnavailable):
        await gateway.fetch_fees()


async def test_cancel(venue, gateway):
    """By order id when known, else by our name; an unknown order is a refusal, silence is unknown."""
    venue.script[PRIVATE + "CancelOrder"] = ok({"count": 1})
    assert await gateway.cancel(cancel(KRAKEN)) == ()
    assert await gateway.cancel(cancel(KRAKEN, venue_order_id=TXID)) == ()
    first, second = venue.fields(PRIVATE + "CancelOrder")
    assert (first["cl_ord_id"], second["txid"]) == (NAME, TXID)
    venue.script[PRIVATE + "CancelOrder"] = refused("EOrder:Unknown order")
    assert isinstance((await gateway.cancel(cancel(KRAKEN)))[0], CancelRejected)
    venue.faults[PRIVATE + "CancelOrder"] = "connection_closed"
    (event,) = await gateway.cancel(cancel(KRAKEN))
    assert (type(event), event.request) == (RequestOutcomeUnknown, "cancel")


async def test_cancel_all_touches_only_our_own_orders(venue, gateway):
    """Orders of people and other programs stay; the rest is looked at again until it is gone."""
    opened = {TXID: order(status="open"), "OHUMAN": order(status="open", name=None)}
    venue.script[PRIVATE + "OpenOrders"] = lambda _: ok({"open": opened})

    def canceled(fields):
        del opened[fields["txid"]]
        return ok({"count": 1})

    venue.script[PRIVATE + "CancelOrder"] = canceled
    assert await gateway.cancel_all() == 0
    assert list(opened) == ["OHUMAN"]


async def test_cancel_all_tells_what_would_not_go(venue, gateway):
    """An order that stays open is counted, not forgotten."""
    venue.script[PRIVATE + "OpenOrders"] = ok({"open": {TXID: order(status="open")}})
    venue.script[PRIVATE + "CancelOrder"] = refused("EService:Busy")
    assert await gateway.cancel_all() == 1


async def test_permissions(venue, gateway):
    """The key's rights come in Kraken's words, with warnings; a right nobody knows is refused."""
    info = {"permissions": ["query-funds", "withdraw-funds"], "iban": "AA88 N84G", "ipAllowlist": []}
    venue.script[PRIVATE + "GetApiKeyInfo"] = ok(info)
    found = await gateway.fetch_permissions()
    assert (found.can_trade, found.can_withdraw, found.account) == (False, True, "AA88 N84G")
    lacking, open_to_all = found.warnings
    assert "modify-trades" in lacking
    assert "allow-list" in open_to_all
    venue.script[PRIVATE + "GetApiKeyInfo"] = ok({**info, "permissions": ["query-funds", "mint-money"]})
    with pytest.raises(VenueRefused, match="mint-money"):
        await gateway.fetch_permissions()


async def test_transfers_have_signs_and_states(venue, gateway):
    """Deposits come in, withdrawals go out, fees stand apart, and what failed says so."""
    row = {"asset": "XXBT", "refid": "R1", "amount": "0.4998", "fee": "0.0002", "time": 1795313388, "status": "Success"}
    venue.script[PRIVATE + "DepositStatus"] = ok([row])
    venue.script[PRIVATE + "WithdrawStatus"] = ok(
        [{**row, "refid": "R2", "time": 1795313389, "status": "Pending", "status-prop": "canceled"}]
    )
    deposit, withdrawal = await gateway.fetch_transfers(0)
    assert (deposit.qty, deposit.fee, deposit.state) == (Decimal("0.4998"), Decimal("0.0002"), MovementState.DONE)
    assert (withdrawal.qty, withdrawal.asset, withdrawal.state) == (Decimal("-0.4998"), "BTC", MovementState.FAILED)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("EAPI:Invalid key", VenueRefused),
        ("EGeneral:Permission denied", VenueRefused),
        ("EAPI:Invalid nonce", VenueUnavailable),
        ("EAPI:Rate limit exceeded", VenueUnavailable),
        ("EService:Unavailable", VenueUnavailable),
        ("EAnything:Else", VenueUnavailable),
    ],
)
async def test_errors_of_reading_calls(venue, gateway, text, kind):
    """What asking again will not mend is told apart from what it may."""
    venue.script[PRIVATE + "GetWebSocketsToken"] = refused(text)
    with pytest.raises(kind, match=text):
        await gateway.ws_token()


async def test_without_a_key_only_public_data_is_there(venue):
    """Scanning needs no key; anything private says what it lacks and sends nothing."""
    gateway = make(venue, credentials=False)
    await gateway.load_instruments()
    with pytest.raises(VenueRefused, match="API key"):
        await gateway.fetch_balances()
    (event,) = await gateway.submit(approved(KRAKEN, now()))
    await gateway.close()
    assert (event.code, venue.bodies(PRIVATE + "AddOrder")) == (RejectCode.KEY_REFUSED, [])


async def test_clock_of_whole_seconds_is_told_within_half_a_second(gateway):
    """Kraken tells seconds; the middle of what is possible is returned."""
    told_ns = await gateway.fetch_time_ns()
    assert abs(told_ns - now()) < S
