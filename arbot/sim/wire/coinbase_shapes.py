"""The JSON the pretend Coinbase sends: one pure function per thing, from the simulator's model to the venue's words.

Rules of the file: numbers of money are texts without exponent or trailing zeros; booleans are booleans; times are
RFC 3339 in UTC, to the microsecond in bodies and to the nanosecond in websocket envelopes; no key is left out that a
client indexes. Source: docs.cdp.coinbase.com, Advanced Trade REST and websocket channel pages, read 2025-11.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from arbot.domain.instrument import Instrument, InstrumentStatus
from arbot.domain.order import Liquidity, Side, TimeInForce
from arbot.domain.units import ONE, ZERO, div, fmt
from arbot.sim.fees import FeeTier
from arbot.sim.model import (
    OrderRequest,
    OrderStatus,
    OrderType,
    SimBalance,
    SimFill,
    SimOrder,
    Transfer,
    TransferStatus,
)

Json = dict[str, Any]

FIAT = frozenset({"USD", "EUR", "GBP", "CAD", "SGD"})
NAMES = {
    "ADA": "Cardano",
    "BTC": "Bitcoin",
    "DOGE": "Dogecoin",
    "ETH": "Ethereum",
    "EUR": "Euro",
    "GBP": "British Pound",
    "LTC": "Litecoin",
    "SOL": "Solana",
    "USD": "US Dollar",
    "USDC": "USD Coin",
    "USDT": "Tether",
    "XRP": "XRP",
}
_PRICE_DIGITS = Decimal(1).scaleb(-12)


def iso_us(ts_ns: int) -> str:
    """Return RFC 3339 with six decimals."""
    return f"{_seconds(ts_ns)}.{ts_ns // 1000 % 10**6:06d}Z"


def iso_ns(ts_ns: int) -> str:
    """Return RFC 3339 with nine decimals, as websocket envelopes have it."""
    return f"{_seconds(ts_ns)}.{ts_ns % 10**9:09d}Z"


def go_time(ts_ns: int, monotonic_ns: int) -> str:
    """Return time as Go prints it, which is what heartbeats carry."""
    text = _seconds(ts_ns).replace("T", " ")
    return f"{text}.{ts_ns % 10**9:09d} +0000 UTC m=+{monotonic_ns // 10**9}.{monotonic_ns % 10**9:09d}"


def parse_time_ns(text: str) -> int:
    """Return ns of an RFC 3339 time (UTC when it names no zone), exact to the microsecond. Raises: ValueError."""
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return ((since.days * 86_400 + since.seconds) * 10**6 + since.microseconds) * 1000


def _seconds(ts_ns: int) -> str:
    return datetime.fromtimestamp(ts_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def uuid_of(*parts: str) -> str:
    """Return a text of UUID form that is the same for the same parts."""
    digits = hashlib.sha256("/".join(parts).encode()).hexdigest()
    return "-".join((digits[:8], digits[8:12], "5" + digits[13:16], "a" + digits[17:20], digits[20:32]))


def name_of(asset: str) -> str:
    """Return an asset's name in words."""
    return NAMES.get(asset, asset)


# --- reference data --------------------------------------------------------------------------------------------------


def product(instrument: Instrument, price: Decimal, alias: str, alias_to: Sequence[str]) -> Json:
    """Return a row of the products list."""
    status = instrument.status
    return {
        "product_id": instrument.venue_symbol,
        "price": fmt(price),
        "price_percentage_change_24h": "0",
        "volume_24h": "0",
        "volume_percentage_change_24h": "0",
        "base_increment": fmt(instrument.qty_step),
        "quote_increment": fmt(instrument.tick_size),
        "price_increment": fmt(instrument.tick_size),
        "quote_min_size": fmt(instrument.notional_min),
        "quote_max_size": "150000000",
        "base_min_size": fmt(instrument.qty_min),
        "base_max_size": fmt(instrument.qty_max) if instrument.qty_max else "1000000000",
        "base_name": name_of(instrument.base),
        "quote_name": name_of(instrument.quote),
        "watched": False,
        "is_disabled": status is InstrumentStatus.HALTED,
        "new": False,
        "status": "online" if status is not InstrumentStatus.HALTED else "offline",
        "cancel_only": status is InstrumentStatus.CANCEL_ONLY,
        "limit_only": status is InstrumentStatus.LIMIT_ONLY,
        "post_only": status is InstrumentStatus.POST_ONLY,
        "trading_disabled": status is InstrumentStatus.HALTED,
        "auction_mode": False,
        "product_type": "SPOT",
        "quote_currency_id": instrument.quote,
        "base_currency_id": instrument.base,
        "fcm_trading_session_details": None,
        "mid_market_price": "",
        "alias": alias,
        "alias_to": list(alias_to),
        "base_display_symbol": instrument.base,
        "quote_display_symbol": instrument.quote,
        "view_only": False,
        "display_name": instrument.venue_symbol,
        "product_venue": "CBE",
        "approximate_quote_24h_volume": "0",
    }


def fiat_currencies(assets: Iterable[str]) -> Json:
    """Return the v2 list of government money."""
    rows = [{"id": asset, "name": name_of(asset), "min_size": "0.01"} for asset in sorted(assets) if asset in FIAT]
    return {"data": rows}


def crypto_currencies(assets: Iterable[str]) -> Json:
    """Return the v2 list of coins."""
    rows = [
        {
            "code": asset,
            "name": name_of(asset),
            "color": "#000000",
            "sort_index": 100 + index,
            "exponent": 8,
            "type": "crypto",
            "address_regex": "",
            "asset_id": uuid_of("asset", asset),
        }
        for index, asset in enumerate(sorted(asset for asset in assets if asset not in FIAT))
    ]
    return {"data": rows}


def price_levels(levels: Iterable[tuple[Decimal, Decimal]]) -> list[Json]:
    """Return levels of a price book."""
    return [{"price": fmt(price), "size": fmt(qty)} for price, qty in levels]


def public_trade(product_id: str, trade_id: int, *, price: Decimal, qty: Decimal, taker: Side, ts_ns: int) -> Json:
    """Return a public trade. The venue names the maker's side."""
    return {
        "trade_id": str(trade_id),
        "product_id": product_id,
        "price": fmt(price),
        "size": fmt(qty),
        "time": iso_us(ts_ns),
        "side": taker.opposite.upper(),
    }


# --- orders ----------------------------------------------------------------------------------------------------------

ORDER_STATUSES = {
    OrderStatus.OPEN: "OPEN",
    OrderStatus.FILLED: "FILLED",
    OrderStatus.CANCELED: "CANCELLED",
    OrderStatus.EXPIRED: "EXPIRED",
}


def status_of(order: SimOrder) -> str:
    """Return the venue's word. What is left of an IOC or FOK is CANCELLED; EXPIRED is for orders with an end time."""
    if order.status is OrderStatus.EXPIRED and not order.request.expire_ns:
        return "CANCELLED"
    return ORDER_STATUSES[order.status]


def time_in_force_of(request: OrderRequest) -> str:
    """Return the venue's word for how long an order may rest."""
    if request.expire_ns:
        return "GOOD_UNTIL_DATE_TIME"
    return _TIMES_IN_FORCE[TimeInForce.IOC if request.type is OrderType.MARKET else request.tif]


_TIMES_IN_FORCE = {
    TimeInForce.GTC: "GOOD_UNTIL_CANCELLED",
    TimeInForce.IOC: "IMMEDIATE_OR_CANCEL",
    TimeInForce.FOK: "FILL_OR_KILL",
}


def order_configuration(request: OrderRequest) -> Json:
    """Return the one-key configuration an order was placed with."""
    if request.type is OrderType.MARKET:
        if request.quote_qty is not None:
            return {"market_market_ioc": {"quote_size": fmt(request.quote_qty)}}
        return {"market_market_ioc": {"base_size": fmt(request.qty)}}
    body: Json = {"base_size": fmt(request.qty), "limit_price": fmt(request.price or ZERO)}
    if request.expire_ns:
        return {"limit_limit_gtd": body | {"end_time": iso_us(request.expire_ns), "post_only": request.post_only}}
    if request.tif is TimeInForce.IOC:
        return {"sor_limit_ioc": body}
    if request.tif is TimeInForce.FOK:
        return {"limit_limit_fok": body}
    return {"limit_limit_gtc": body | {"post_only": request.post_only}}


def average_price(filled: Decimal, cost: Decimal) -> str:
    """Return cost per filled base to twelve decimals, or 0."""
    return fmt(div(cost, filled).quantize(_PRICE_DIGITS, rounding=ROUND_HALF_EVEN)) if filled else "0"


def percentage(part: Decimal, whole: Decimal) -> str:
    """Return how much is complete, in percent to two decimals."""
    return fmt((div(part, whole) * 100).quantize(Decimal("0.01"))) if whole else "0"


def order(order: SimOrder, product_id: str, user_id: str, portfolio: str) -> Json:
    """Return an order of the historical endpoints."""
    request = order.request
    sign = ONE if order.side is Side.BUY else -ONE
    return {
        "order_id": order.order_id,
        "product_id": product_id,
        "user_id": user_id,
        "order_configuration": order_configuration(request),
        "side": order.side.upper(),
        "client_order_id": order.client_order_id,
        "status": status_of(order),
        "time_in_force": time_in_force_of(request),
        "created_time": iso_us(order.opened_ns),
        "completion_percentage": completion(order, order.filled_qty, order.cost),
        "filled_size": fmt(order.filled_qty),
        "average_filled_price": average_price(order.filled_qty, order.cost),
        "fee": "",
        "number_of_fills": str(len(order.fills)),
        "filled_value": fmt(order.cost),
        "pending_cancel": False,
        "size_in_quote": request.quote_qty is not None,
        "total_fees": fmt(order.fee),
        "size_inclusive_of_fees": request.quote_qty is not None,
        "total_value_after_fees": fmt(order.cost + sign * order.fee),
        "trigger_status": "INVALID_ORDER_TYPE",
        "order_type": request.type.upper(),
        "reject_reason": "REJECT_REASON_UNSPECIFIED",
        "settled": order.status is OrderStatus.FILLED,
        "product_type": "SPOT",
        "reject_message": "",
        "cancel_message": order.reason if status_of(order) == "CANCELLED" else "",
        "order_placement_source": "RETAIL_ADVANCED",
        "outstanding_hold_amount": fmt(order.hold),
        "is_liquidation": False,
        "last_fill_time": iso_us(order.fills[-1].ts_ns) if order.fills else None,
        "edit_history": [],
        "leverage": "",
        "margin_type": "UNKNOWN_MARGIN_TYPE",
        "retail_portfolio_id": portfolio,
        "originating_order_id": "",
        "attached_order_id": "",
        "attached_order_configuration": None,
    }


def completion(order: SimOrder, filled: Decimal, cost: Decimal) -> str:
    """Return the completion percentage: of quote for orders sized in quote, else of base."""
    quote_qty = order.request.quote_qty
    if order.status is OrderStatus.FILLED:
        return "100"
    return percentage(cost, quote_qty) if quote_qty is not None else percentage(filled, order.request.qty)


def fill(row: SimFill, product_id: str, user_id: str, portfolio: str) -> Json:
    """Return a fill. The commission is in the quote currency."""
    return {
        "entry_id": uuid_of("entry", row.trade_id),
        "trade_id": row.trade_id,
        "order_id": row.order_id,
        "trade_time": iso_us(row.ts_ns),
        "trade_type": "FILL",
        "price": fmt(row.price),
        "size": fmt(row.qty),
        "commission": fmt(row.fee),
        "product_id": product_id,
        "sequence_timestamp": iso_us(row.ts_ns),
        "liquidity_indicator": "MAKER" if row.liquidity is Liquidity.MAKER else "TAKER",
        "size_in_quote": False,
        "user_id": user_id,
        "side": row.side.upper(),
        "retail_portfolio_id": portfolio,
        "fillSource": "FILL_SOURCE_CLOB",
        "commission_detail_total": {"total_commission": fmt(row.fee)},
    }


# --- accounts --------------------------------------------------------------------------------------------------------


def account(asset: str, balance: SimBalance, uuid: str, portfolio: str, updated_ns: int) -> Json:
    """Return a v3 account: available and hold, apart."""
    return {
        "uuid": uuid,
        "name": f"{asset} Wallet",
        "currency": asset,
        "available_balance": {"value": fmt(balance.available), "currency": asset},
        "default": True,
        "active": True,
        "created_at": "2024-05-31T09:59:59Z",
        "updated_at": iso_us(updated_ns),
        "deleted_at": None,
        "type": "ACCOUNT_TYPE_FIAT" if asset in FIAT else "ACCOUNT_TYPE_CRYPTO",
        "ready": True,
        "hold": {"value": fmt(balance.hold), "currency": asset},
        "retail_portfolio_id": portfolio,
        "platform": "ACCOUNT_PLATFORM_CONSUMER",
    }


def account_v2(
    asset: str, balance: SimBalance, uuid: str, updated_ns: int, *, takes: bool = True, pays: bool = True
) -> Json:
    """Return a v2 account: the total only, holds are not shown. `takes` and `pays` say whether its wallet is open."""
    is_fiat = asset in FIAT
    return {
        "id": uuid,
        "name": f"{asset} Wallet",
        "primary": asset == "USD",
        "type": "fiat" if is_fiat else "wallet",
        "currency": {
            "code": asset,
            "name": name_of(asset),
            "exponent": 2 if is_fiat else 8,
            "type": "fiat" if is_fiat else "crypto",
        },
        "balance": {"amount": fmt(balance.total), "currency": asset},
        "created_at": "2024-05-31T09:59:59Z",
        "updated_at": iso_us(updated_ns),
        "resource": "account",
        "resource_path": f"/v2/accounts/{uuid}",
        "allow_deposits": takes,
        "allow_withdrawals": pays,
    }


def transaction_summary(tier: FeeTier, volume: Decimal, fees: Decimal, number: int, volume_to: Decimal | None) -> Json:
    """Return the account's fee tier. Volumes are JSON numbers here, as at the venue; rates are texts."""
    return {
        "total_volume": volume,
        "total_fees": fees,
        "fee_tier": {
            "pricing_tier": f"Advanced {number + 1}",
            "usd_from": fmt(tier.volume_min),
            "usd_to": fmt(volume_to) if volume_to is not None else "",
            "taker_fee_rate": fmt(tier.taker),
            "maker_fee_rate": fmt(tier.maker),
            "aop_from": "",
            "aop_to": "",
        },
        "margin_rate": None,
        "goods_and_services_tax": None,
        "advanced_trade_only_volume": volume,
        "advanced_trade_only_fees": fees,
        "coinbase_pro_volume": 0,
        "coinbase_pro_fees": 0,
        "total_balance": "",
        "has_promo_fee": False,
    }


def portfolio(uuid: str) -> Json:
    """Return the one portfolio of an account."""
    return {"name": "Default", "uuid": uuid, "type": "DEFAULT", "deleted": False}


# --- transfers -------------------------------------------------------------------------------------------------------

_SEND_STATUSES = {
    TransferStatus.INITIAL: "pending",
    TransferStatus.PENDING: "pending",
    TransferStatus.SETTLED: "pending",
    TransferStatus.SUCCESS: "completed",
    TransferStatus.FAILURE: "failed",
}
_CHAIN_STATUSES = {TransferStatus.SETTLED: "confirmed", TransferStatus.SUCCESS: "confirmed"}


def send(transfer: Transfer, account_id: str) -> Json:
    """Return a v2 transaction; withdrawals have a negative amount that includes the network fee."""
    asset = transfer.asset
    moved = transfer.amount if transfer.is_deposit else -(transfer.amount + transfer.fee)
    body: Json = {
        "id": uuid_of("transaction", transfer.reference),
        "type": "receive" if transfer.is_deposit else "send",
        "status": _SEND_STATUSES[transfer.status],
        "amount": {"amount": fmt(moved), "currency": asset},
        "native_amount": {"amount": "0", "currency": "USD"},
        "description": None,
        "created_at": iso_us(transfer.created_ns),
        "updated_at": iso_us(transfer.updated_ns),
        "resource": "transaction",
        "resource_path": f"/v2/accounts/{account_id}/transactions/{uuid_of('transaction', transfer.reference)}",
        "network": {
            "status": _CHAIN_STATUSES.get(transfer.status, "pending"),
            "network_name": transfer.network,
            "transaction_fee": {"amount": fmt(transfer.fee), "currency": asset},
            "transaction_amount": {"amount": fmt(transfer.amount), "currency": asset},
            "confirmations": 0,
        },
        "to": {
            "resource": f"{transfer.network}_address",
            "address": transfer.address,
            "currency": asset,
        },
    }
    if transfer.txid:
        body["network"]["hash"] = transfer.txid
    if transfer.client_reference:
        body["idem"] = transfer.client_reference
    return body


def transfer_v2(transfer: Transfer, account_id: str) -> Json:
    """Return a row of the v2 deposits or withdrawals list."""
    kind = "deposit" if transfer.is_deposit else "withdrawal"
    money = {"amount": fmt(transfer.amount), "currency": transfer.asset}
    identity = uuid_of(kind, transfer.reference)
    return {
        "id": identity,
        "status": _SEND_STATUSES[transfer.status],
        "payment_method": {"id": uuid_of("payment"), "resource": "payment_method"},
        "transaction": {"id": uuid_of("transaction", transfer.reference), "resource": "transaction"},
        "amount": money,
        "subtotal": money,
        "fee": {"amount": fmt(transfer.fee), "currency": transfer.asset},
        "created_at": iso_us(transfer.created_ns),
        "updated_at": iso_us(transfer.updated_ns),
        "resource": kind,
        "resource_path": f"/v2/accounts/{account_id}/{kind}s/{identity}",
        "committed": transfer.status is TransferStatus.SUCCESS,
        "payout_at": iso_us(transfer.updated_ns),
        "instant": False,
        "network": {"status": _CHAIN_STATUSES.get(transfer.status, "pending"), "hash": transfer.txid},
    }


def address(asset: str, network: str, text: str, account_id: str) -> Json:
    """Return a v2 deposit address."""
    identity = uuid_of("address", text, account_id)
    return {
        "id": identity,
        "address": text,
        "address_info": {"address": text},
        "name": None,
        "created_at": "2024-05-31T09:59:59Z",
        "updated_at": "2024-05-31T09:59:59Z",
        "network": network,
        "uri_scheme": network,
        "resource": "address",
        "resource_path": f"/v2/accounts/{account_id}/addresses/{identity}",
        "warnings": [],
        "address_label": f"{asset} deposit address",
        "default_receive": True,
        "deposit_uri": f"{network}:{text}",
    }


def page_v2(rows: list[Json], limit: int, next_after: str | None, path: str) -> Json:
    """Return a v2 page; `next_after` is the id after which the next page starts."""
    return {
        "pagination": {
            "ending_before": None,
            "starting_after": None,
            "previous_ending_before": None,
            "next_starting_after": next_after,
            "limit": limit,
            "order": "desc",
            "previous_uri": None,
            "next_uri": f"{path}?starting_after={next_after}" if next_after else None,
        },
        "data": rows,
    }


# --- errors ----------------------------------------------------------------------------------------------------------


def error(code: str, message: str, details: str | None = None) -> Json:
    """Return a v3 error body."""
    return {"error": code, "error_details": details if details is not None else message, "message": message}


def error_v2(identity: str, message: str) -> Json:
    """Return a v2 error body."""
    return {"errors": [{"id": identity, "message": message}]}


def order_placed(row: SimOrder, product_id: str, configuration: Mapping[str, Any]) -> Json:
    """Return the answer to an accepted order: the failure reason is filled in on success too."""
    return {
        "success": True,
        "failure_reason": "UNKNOWN_FAILURE_REASON",
        "order_id": row.order_id,
        "success_response": {
            "order_id": row.order_id,
            "product_id": product_id,
            "side": row.side.upper(),
            "client_order_id": row.client_order_id,
            "attached_order_id": "",
        },
        "order_configuration": configuration,
    }


def order_refused(code: str, message: str, preview: str, configuration: Mapping[str, Any]) -> Json:
    """Return the answer to a refused order: HTTP 200, with the reason under three names."""
    return {
        "success": False,
        "failure_reason": "UNKNOWN_FAILURE_REASON",
        "order_id": "",
        "error_response": {
            "error": code,
            "message": message,
            "error_details": "",
            "preview_failure_reason": preview,
            "new_order_failure_reason": code,
        },
        "order_configuration": configuration,
    }
