"""What the pretend Kraken says, as plain data: ids and aliases, number text, REST rows, websocket rows.

Rules: pure functions; every number is exact text (REST: strings; websocket: bare JSON numbers with all their decimals);
numbers with more digits than the venue's usual decimals are written in full, never rounded.
Source: docs.kraken.com REST and websocket v2 pages, read 2025-11.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from arbot.domain.instrument import Instrument, InstrumentStatus
from arbot.domain.order import Liquidity, Side, TimeInForce
from arbot.domain.units import ZERO, div, exponent_of, fmt
from arbot.sim.fees import FeeTier
from arbot.sim.listing import ASSET_DECIMALS
from arbot.sim.model import (
    ExecKind,
    Execution,
    LedgerKind,
    LedgerRow,
    OrderStatus,
    OrderType,
    RejectReason,
    SimFill,
    SimOrder,
    Transfer,
    TransferStatus,
)

Json = dict[str, object]
Levels = Sequence[tuple[int, int]]

ASSET_IDS = {"BTC": "XXBT", "ETH": "XETH", "DOGE": "XXDG", "USD": "ZUSD", "EUR": "ZEUR"}
ALT_NAMES = {"BTC": "XBT", "DOGE": "XDG"}

REJECTS = {
    RejectReason.UNKNOWN_INSTRUMENT: "EQuery:Unknown asset pair",
    RejectReason.INSUFFICIENT_FUNDS: "EOrder:Insufficient funds",
    RejectReason.QTY_MIN: "EOrder:Order minimum not met",
    RejectReason.QTY_MAX: "EGeneral:Invalid arguments:volume",
    RejectReason.QTY_STEP: "EGeneral:Invalid arguments:volume",
    RejectReason.NOTIONAL_MIN: "EOrder:Cost minimum not met",
    RejectReason.TICK_SIZE: "EOrder:Tick size check failed",
    RejectReason.INVALID_PRICE: "EOrder:Invalid price",
    RejectReason.POST_ONLY: "EOrder:Post only order",
    RejectReason.NO_LIQUIDITY: "EOrder:Invalid order",
    RejectReason.DEADLINE_ELAPSED: "EService:Deadline elapsed",
    RejectReason.DUPLICATE_CLIENT_ID: "EGeneral:Invalid arguments:cl_ord_id",
    RejectReason.ORDERS_LIMIT: "EOrder:Orders limit exceeded",
    RejectReason.INSTRUMENT_CLOSED: "EService:Market in cancel_only mode",
    RejectReason.POST_ONLY_MODE: "EService:Market in post_only mode",
}
STATUS_WORDS = {
    InstrumentStatus.ONLINE: "online",
    InstrumentStatus.LIMIT_ONLY: "limit_only",
    InstrumentStatus.POST_ONLY: "post_only",
    InstrumentStatus.CANCEL_ONLY: "cancel_only",
    InstrumentStatus.HALTED: "maintenance",
}
_REST_STATUS = {
    OrderStatus.OPEN: "open",
    OrderStatus.FILLED: "closed",
    OrderStatus.CANCELED: "canceled",
    OrderStatus.EXPIRED: "expired",
}
_WS_STATUS = {
    OrderStatus.OPEN: "new",
    OrderStatus.FILLED: "filled",
    OrderStatus.CANCELED: "canceled",
    OrderStatus.EXPIRED: "expired",
}
_LEDGER_WORDS = {
    LedgerKind.TRADE: "trade",
    LedgerKind.DEPOSIT: "deposit",
    LedgerKind.WITHDRAWAL: "withdrawal",
    LedgerKind.ADJUSTMENT: "adjustment",
}
_TRANSFER_WORDS = {
    TransferStatus.INITIAL: "Initial",
    TransferStatus.PENDING: "Pending",
    TransferStatus.SETTLED: "Settled",
    TransferStatus.SUCCESS: "Success",
    TransferStatus.FAILURE: "Failure",
}
METHODS = {
    ("BTC", "bitcoin"): "Bitcoin",
    ("DOGE", "dogecoin"): "Dogecoin",
    ("ETH", "ethereum"): "Ether",
    ("USD", "fedwire"): "Wire",
    ("USDT", "ethereum"): "Tether USD (ERC20)",
    ("USDT", "tron"): "Tether USD (TRC20)",
}
"""(asset, network) -> Kraken's name of the way in and out; others are the asset's name and the network's."""
NETWORKS = {
    "bitcoin": "Bitcoin",
    "dogecoin": "Dogecoin",
    "ethereum": "Ethereum",
    "fedwire": "Fedwire",
    "solana": "Solana",
    "tron": "Tron",
}
_ASSET_WORDS = {
    (True, True): "enabled",
    (True, False): "deposit_only",
    (False, True): "withdrawal_only",
    (False, False): "funding_temporarily_disabled",
}
TWO_DECIMALS = Decimal("0.01")


# --- words and numbers -----------------------------------------------------------------------------------------------


def asset_id(asset: str) -> str:
    """Return Kraken's id of an asset: BTC -> XXBT."""
    return ASSET_IDS.get(asset, asset)


def alt_name(asset: str) -> str:
    """Return Kraken's short name: BTC -> XBT."""
    return ALT_NAMES.get(asset, asset)


def pair_alt_name(instrument: Instrument) -> str:
    """Return such as XBTUSD."""
    return alt_name(instrument.base) + alt_name(instrument.quote)


def pair_ws_name(instrument: Instrument) -> str:
    """Return such as XBT/USD."""
    return f"{alt_name(instrument.base)}/{alt_name(instrument.quote)}"


def text(number: Decimal, decimals: int) -> str:
    """Return plain text with at least so many decimals, and more when the exact number needs them."""
    if number == 0 or -exponent_of(number) <= decimals:
        return f"{number:.{decimals}f}"
    return fmt(number)


def raw(number: Decimal, decimals: int) -> msgspec.Raw:
    """Return the same as a bare JSON number."""
    return msgspec.Raw(text(number, decimals).encode())


def scaled_text(units: int, decimals: int) -> str:
    """Return an integer count of last decimals as a number: (650100, 1) -> 65010.0."""
    if decimals == 0:
        return str(units)
    digits = str(units).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}"


def seconds(ts_ns: int) -> msgspec.Raw:
    """Return seconds with four decimals as a bare number."""
    return msgspec.Raw(scaled_text(ts_ns // 100_000, 4).encode())


def iso(ts_ns: int) -> str:
    """Return RFC 3339 with six decimals."""
    return f"{iso_seconds(ts_ns)[:-1]}.{ts_ns // 1000 % 10**6:06d}Z"


def iso_seconds(ts_ns: int) -> str:
    """Return RFC 3339 to the second."""
    return datetime.fromtimestamp(ts_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc1123(ts_ns: int) -> str:
    """Return a time as Time tells it: Sun, 22 Nov 26 02:09:48 +0000."""
    return datetime.fromtimestamp(ts_ns // 10**9, UTC).strftime("%a, %d %b %y %H:%M:%S +0000")


def parse_time_ns(value: str) -> int:
    """Return ns of an RFC 3339 time, exact to the microsecond. Raises: ValueError."""
    moment = datetime.fromisoformat(value)
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    return ((since.days * 86_400 + since.seconds) * 10**6 + since.microseconds) * 1000


def average(order: SimOrder) -> Decimal:
    """Return the average fill price to ten decimals, or zero."""
    return average_of(order.cost, order.filled_qty)


def average_of(cost: Decimal, qty: Decimal) -> Decimal:
    """Return cost per quantity to ten decimals, or zero."""
    return div(cost, qty).quantize(Decimal("1e-10")) if qty else ZERO


# --- REST ------------------------------------------------------------------------------------------------------------


def method(asset: str, network: str) -> str:
    """Return Kraken's name of the way an asset takes on a network."""
    return METHODS.get((asset, network), f"{asset} ({NETWORKS[network]})")


def deposit_method(asset: str, network: str) -> str:
    """Return Kraken's name of the way in; ether's is not that of the way out."""
    return "Ether (Hex)" if asset == "ETH" else method(asset, network)


def asset_row(asset: str, *, takes: bool = True, pays: bool = True) -> Json:
    """Return a row of Assets."""
    decimals = ASSET_DECIMALS.get(asset, 8)
    return {
        "aclass": "currency",
        "altname": alt_name(asset),
        "decimals": decimals,
        "display_decimals": min(5, decimals),
        "status": _ASSET_WORDS[takes, pays],
    }


def pair_row(instrument: Instrument, status: InstrumentStatus, tiers: tuple[FeeTier, ...]) -> Json:
    """Return a row of AssetPairs."""
    return {
        "altname": pair_alt_name(instrument),
        "wsname": pair_ws_name(instrument),
        "aclass_base": "currency",
        "base": asset_id(instrument.base),
        "aclass_quote": "currency",
        "quote": asset_id(instrument.quote),
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": instrument.price_decimals,
        "lot_decimals": instrument.qty_decimals,
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[int(tier.volume_min), raw(tier.taker.scaleb(2), 2)] for tier in tiers],
        "fees_maker": [[int(tier.volume_min), raw(tier.maker.scaleb(2), 2)] for tier in tiers],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": fmt(instrument.qty_min),
        "costmin": fmt(instrument.notional_min),
        "tick_size": fmt(instrument.tick_size),
        "status": STATUS_WORDS[status],
    }


def order_sentence(order: SimOrder, instrument: Instrument) -> str:
    """Return the sentence clients parse: buy 0.50000000 XBTUSD @ limit 65010.3."""
    return sentence(
        order.side,
        order.request.qty if order.request.quote_qty is None else order.filled_qty,
        order.request.price,
        instrument,
    )


def sentence(side: Side, qty: Decimal, price: Decimal | None, instrument: Instrument) -> str:
    """Return the sentence of an order that is not yet one."""
    head = f"{side} {text(qty, 8)} {pair_alt_name(instrument)} @"
    return f"{head} market" if price is None else f"{head} limit {fmt_price(price, instrument)}"


def fmt_price(price: Decimal, instrument: Instrument) -> str:
    """Return a price with the pair's decimals."""
    return text(price, instrument.price_decimals)


def order_row(order: SimOrder, instrument: Instrument, *, trades: bool) -> Json:
    """Return a row of QueryOrders, OpenOrders and ClosedOrders."""
    request = order.request
    flags = ["fciq"] + (["post"] if request.post_only else [])
    row: Json = {
        "refid": None,
        "userref": request.userref,
        "status": _REST_STATUS[order.status],
        "reason": order.reason or None,
        "opentm": seconds(order.opened_ns),
        "starttm": 0,
        "expiretm": request.expire_ns // 10**9,
        "descr": {
            "pair": pair_alt_name(instrument),
            "type": str(order.side),
            "ordertype": str(request.type),
            "price": "0" if request.price is None else fmt_price(request.price, instrument),
            "price2": "0",
            "leverage": "none",
            "order": order_sentence(order, instrument),
            "close": "",
        },
        "vol": text(request.qty, 8),
        "vol_exec": text(order.filled_qty, 8),
        "cost": text(order.cost, 5),
        "fee": text(order.fee, 5),
        "price": text(average(order), 5),
        "stopprice": "0.00000",
        "limitprice": "0.00000",
        "misc": "",
        "oflags": ",".join(flags),
    }
    if order.client_order_id:
        row["cl_ord_id"] = order.client_order_id
    if not order.is_open:
        row["closetm"] = seconds(order.closed_ns)
    if trades and order.fills:
        row["trades"] = [fill.trade_id for fill in order.fills]
    return row


def trade_row(fill: SimFill, instrument: Instrument) -> Json:
    """Return a row of TradesHistory."""
    return {
        "ordertxid": fill.order_id,
        "postxid": f"TKH{fill.trade_id[3:]}",
        "pair": instrument.venue_symbol,
        "time": seconds(fill.ts_ns),
        "type": str(fill.side),
        "ordertype": str(fill.order_type),
        "price": text(fill.price, 5),
        "cost": text(fill.cost, 5),
        "fee": text(fill.fee, 5),
        "vol": text(fill.qty, 8),
        "margin": "0.00000",
        "leverage": "0",
        "misc": "",
        "trade_id": fill.print_id,
        "maker": fill.liquidity is Liquidity.MAKER,
    }


def ledger_row(row: LedgerRow) -> Json:
    """Return a row of Ledgers."""
    decimals = ASSET_DECIMALS.get(row.asset, 8)
    return {
        "refid": row.reference,
        "time": seconds(row.ts_ns),
        "type": _LEDGER_WORDS[row.kind],
        "subtype": "",
        "aclass": "currency",
        "asset": asset_id(row.asset),
        "amount": text(row.amount, decimals),
        "fee": text(row.fee, decimals),
        "balance": text(row.balance, decimals),
    }


def transfer_row(transfer: Transfer) -> Json:
    """Return a row of DepositStatus and WithdrawStatus."""
    decimals = ASSET_DECIMALS.get(transfer.asset, 8)
    row: Json = {
        "method": (deposit_method if transfer.is_deposit else method)(transfer.asset, transfer.network),
        "network": NETWORKS[transfer.network],
        "aclass": "currency",
        "asset": asset_id(transfer.asset),
        "refid": transfer.reference,
        "txid": transfer.txid,
        "info": transfer.address,
        "amount": text(transfer.amount, decimals),
        "fee": text(transfer.fee, decimals),
        "time": transfer.created_ns // 10**9,
        "status": _TRANSFER_WORDS[transfer.status],
    }
    if transfer.address_key:
        row["key"] = transfer.address_key
    return row


# --- websocket -------------------------------------------------------------------------------------------------------


def checksum(asks: Levels, bids: Levels) -> int:
    """Return the CRC-32 of the best ten asks, then the best ten bids, as ticks and lots without a point."""
    tokens = "".join(f"{ticks}{lots}" for side in (asks, bids) for ticks, lots in side[:10])
    return zlib.crc32(tokens.encode())


def levels_text(levels: Iterable[tuple[int, int]], instrument: Instrument) -> str:
    """Return levels as JSON with full-precision numbers."""
    price_decimals, qty_decimals = instrument.price_decimals, instrument.qty_decimals
    return ",".join(
        f'{{"price":{scaled_text(ticks, price_decimals)},"qty":{scaled_text(lots, qty_decimals)}}}'
        for ticks, lots in levels
    )


def book_frame(instrument: Instrument, bids: Levels, asks: Levels, crc: int, ts_ns: int | None) -> bytes:
    """Return a frame of the book channel: an update, or without a time a snapshot (the venue stamps none)."""
    kind = "snapshot" if ts_ns is None else "update"
    stamp = "" if ts_ns is None else f',"timestamp":"{iso(ts_ns)}"'
    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{instrument.symbol}",'
        f'"bids":[{levels_text(bids, instrument)}],"asks":[{levels_text(asks, instrument)}],'
        f'"checksum":{crc}{stamp}}}]}}'
    ).encode()


def _time_in_force(order: SimOrder) -> str:
    if order.request.expire_ns:
        return "GTD"
    return {TimeInForce.GTC: "GTC", TimeInForce.IOC: "IOC", TimeInForce.FOK: "FOK"}[order.request.tif]


def execution_row(execution: Execution, instrument: Instrument) -> Json:
    """Return a row of the executions channel. Terminal rows name neither symbol nor side."""
    order = execution.order
    row: Json = {
        "order_id": order.order_id,
        "order_userref": order.request.userref,
        "exec_type": str(execution.kind),
        "timestamp": iso(execution.ts_ns),
    }
    if order.client_order_id:
        row["cl_ord_id"] = order.client_order_id
    if execution.kind in (ExecKind.PENDING_NEW, ExecKind.NEW, ExecKind.AMENDED):
        status = str(ExecKind.NEW if execution.kind is ExecKind.AMENDED else execution.kind)
        row |= _new_fields(order, instrument, status)
        # the order may have moved on since: the sums are those of the moment told of
        row |= {"cum_cost": raw(execution.cost, 1), "fee_usd_equiv": raw(execution.fee, 1)}
    elif execution.fill is not None:
        row |= fill_fields(execution.fill, instrument) | {
            "order_status": "partially_filled",
            "cum_qty": raw(execution.filled_qty, 8),
            "cum_cost": raw(execution.cost, 5),
            "avg_price": raw(average_of(execution.cost, execution.filled_qty), instrument.price_decimals),
        }
    else:
        row |= {
            "order_status": str(execution.kind),
            "cum_qty": raw(execution.filled_qty, 8),
            "cum_cost": raw(execution.cost, 5),
            "avg_price": raw(average_of(execution.cost, execution.filled_qty), instrument.price_decimals),
            "fee_usd_equiv": raw(execution.fee, 5),
        }
        if execution.reason:
            row |= {"reason": execution.reason, "cancel_reason": execution.reason}
    return row


def fill_fields(fill: SimFill, instrument: Instrument) -> Json:
    """Return what a trade row says of the fill itself."""
    return {
        "symbol": instrument.symbol,
        "side": str(fill.side),
        "order_type": str(fill.order_type),
        "exec_id": fill.trade_id,
        "trade_id": fill.print_id,
        "last_qty": raw(fill.qty, 8),
        "last_price": raw(fill.price, instrument.price_decimals),
        "liquidity_ind": "m" if fill.liquidity is Liquidity.MAKER else "t",
        "cost": raw(fill.cost, 5),
        "fees": [{"asset": fill.fee_asset, "qty": raw(fill.fee, 5)}],
        "fee_usd_equiv": raw(fill.fee, 5),
    }


def old_fill_row(fill: SimFill, order: SimOrder, instrument: Instrument) -> Json:
    """Return a past fill as the executions snapshot shows it."""
    row = fill_fields(fill, instrument) | {
        "order_id": fill.order_id,
        "order_userref": order.request.userref,
        "exec_type": "trade",
        "order_status": _WS_STATUS[order.status],
        "timestamp": iso(fill.ts_ns),
    }
    return row | ({"cl_ord_id": fill.client_order_id} if fill.client_order_id else {})


def open_order_row(order: SimOrder, instrument: Instrument) -> Json:
    """Return an open order as the executions snapshot shows it."""
    row: Json = {
        "order_id": order.order_id,
        "order_userref": order.request.userref,
        "exec_type": "new",
        "timestamp": iso(order.ts_ns),
    } | _new_fields(order, instrument, "partially_filled" if order.filled_lots else "new")
    row |= {"cum_qty": raw(order.filled_qty, 8), "cum_cost": raw(order.cost, 5)}
    return row | ({"cl_ord_id": order.client_order_id} if order.client_order_id else {})


def _new_fields(order: SimOrder, instrument: Instrument, status: str) -> Json:
    fields: Json = {
        "order_status": status,
        "symbol": instrument.symbol,
        "side": str(order.side),
        "order_type": str(order.request.type),
        "order_qty": raw(Decimal(order.qty_lots).scaleb(-instrument.qty_decimals), 8),
        "time_in_force": _time_in_force(order),
        "cum_cost": raw(order.cost, 1),
        "fee_usd_equiv": raw(order.fee, 1),
        "fee_ccy_pref": "fciq",
        "stop_price": msgspec.Raw(b"0.0"),
    }
    if order.request.type is OrderType.LIMIT:
        price = Decimal(order.price_ticks).scaleb(-instrument.price_decimals)
        fields |= {"limit_price": raw(price, instrument.price_decimals), "limit_price_type": "static"}
    if order.request.post_only:
        fields["post_only"] = True
    return fields


def balance_row(asset: str, total: Decimal) -> Json:
    """Return an asset as the balances snapshot shows it."""
    number = raw(total, 5)
    return {
        "asset": asset,
        "asset_class": "currency",
        "balance": number,
        "wallets": [{"type": "spot", "id": "main", "balance": number}],
    }


def balance_update_row(row: LedgerRow) -> Json:
    """Return a ledger row as the balances channel tells it."""
    return {
        "asset": row.asset,
        "asset_class": "currency",
        "amount": raw(row.amount, 5),
        "balance": raw(row.balance, 5),
        "fee": raw(row.fee, 5),
        "ledger_id": row.ledger_id,
        "ref_id": row.reference,
        "timestamp": iso(row.ts_ns),
        "type": _LEDGER_WORDS[row.kind],
        "category": _LEDGER_WORDS[row.kind],
        "wallet_type": "spot",
        "wallet_id": "main",
    }


def instrument_data(rows: Iterable[tuple[Instrument, InstrumentStatus]]) -> Json:
    """Return the data of the instrument channel."""
    listed = tuple(rows)
    assets = dict.fromkeys(asset for one, _ in listed for asset in (one.base, one.quote))
    return {
        "assets": [
            {
                "id": asset,
                "status": "enabled",
                "precision": ASSET_DECIMALS.get(asset, 8),
                "precision_display": 5,
                "borrowable": False,
                "collateral_value": msgspec.Raw(b"0.0"),
            }
            for asset in assets
        ],
        "pairs": [
            {
                "symbol": one.symbol,
                "base": one.base,
                "quote": one.quote,
                "status": STATUS_WORDS[status],
                "qty_precision": one.qty_decimals,
                "qty_increment": raw(one.qty_step, 0),
                "qty_min": raw(one.qty_min, 0),
                "price_precision": one.price_decimals,
                "price_increment": raw(one.tick_size, 0),
                "tick_size": raw(one.tick_size, 0),
                "cost_precision": 5,
                "cost_min": fmt(one.notional_min),
                "marginable": False,
                "has_index": True,
            }
            for one, status in listed
        ],
    }
