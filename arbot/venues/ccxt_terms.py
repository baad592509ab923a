"""Where exchanges differ from ccxt's unified terms, as data. An exchange that is not listed gets the unified term.

ccxt passes parameters it does not know through unchanged, and some exchanges then ignore them: an order meant as
immediate-or-cancel would rest. What a table says is therefore verified on the bytes before they leave.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from arbot.domain.order import TimeInForce
from arbot.domain.units import fmt, parse_decimal
from arbot.ports import VenueConfig

CLIENT_ID_PARAMETER: dict[str, str] = {"coinbase": "client_order_id"}
CLIENT_ID_UNIFIED = "clientOrderId"

TIME_IN_FORCE: Mapping[str, Mapping[TimeInForce, Mapping[str, str | bool]]] = {
    "bitstamp": {
        TimeInForce.IOC: {"ioc_order": "true"},
        TimeInForce.FOK: {"fok_order": "true"},
        TimeInForce.GTC: {},
        TimeInForce.POST_ONLY: {"moc_order": "true"},
    },
}
TIME_IN_FORCE_UNIFIED: Mapping[TimeInForce, Mapping[str, str | bool]] = {
    TimeInForce.IOC: {"timeInForce": "IOC"},
    TimeInForce.FOK: {"timeInForce": "FOK"},
    TimeInForce.GTC: {},
    TimeInForce.POST_ONLY: {"postOnly": True},
}
TIME_IN_FORCE_MARKS: dict[TimeInForce, tuple[str, ...]] = {
    TimeInForce.IOC: ("ioc", "immediate"),
    TimeInForce.FOK: ("fok", "fill_or_kill", "fillorkill"),
    TimeInForce.POST_ONLY: ("post", "moc", "maker", "gtx", "poc"),
}
"""Words of which one must stand in the request that leaves."""

ORDER_BY_NAME: dict[str, str] = {"bitstamp": "client_order_id", "binance": "origClientOrderId"}
"""Exchanges that find an order by our own id, with the parameter of fetch_order that asks so."""

FEES_IN_PERCENT = frozenset({"bitstamp"})
"""Exchanges whose account fees ccxt (4.5.90) hands on as percent, where its unified rate is a fraction."""

TRADES_PAGE_SIZE: dict[str, int] = {"bitstamp": 1000}
TRADES_PAGE_SIZE_UNIFIED = 100
TRADES_PARAMETERS: dict[str, Callable[[int], dict[str, Any]]] = {
    "bitstamp": lambda since_ms: {"since_timestamp": str(since_ms // 1000), "sort": "asc"},
}
"""Exchanges whose history has to be told in other words to run forward from a moment."""


class NetworkRow(NamedTuple):
    """An asset on a network as an exchange lists it; `names` are what it calls the network, None is not told."""

    asset: str
    names: tuple[str, ...]
    can_deposit: bool
    can_withdraw: bool
    fee: object
    qty_min: object


def _bitstamp_networks(answer: list[dict[str, Any]]) -> list[NetworkRow]:
    """Read Bitstamp's `currencies` (www.bitstamp.net/api, 2026-11), which ccxt's unified list leaves out."""
    return [
        NetworkRow(
            asset=str(currency["currency"]),
            names=(str(row["network"]),),
            can_deposit=row["deposit"] == "Enabled",
            can_withdraw=row["withdrawal"] == "Enabled",
            fee=None,
            qty_min=row.get("withdrawal_minimum_amount"),
        )
        for currency in answer
        for row in currency["networks"]
    ]


NETWORK_LISTS: dict[str, tuple[str, Callable[[Any], list[NetworkRow]]]] = {
    "bitstamp": ("public_get_currencies", _bitstamp_networks)
}
"""Exchanges that tell of their networks by a call of their own: ccxt's implicit method, and how to read it."""

WITHDRAWAL_AMOUNT_HAS_FEE = frozenset({"kraken"})
"""Exchanges whose amount of a withdrawal includes the fee."""

WITHDRAWAL_ID: dict[str, str] = {"bitstamp": "withdrawal_id"}
"""Exchanges that name a withdrawal under another key than the one ccxt (4.5.90) reads."""


def _bitstamp_transfer(row: dict[str, Any]) -> dict[str, Any]:
    """Find currency and amount of a line of `user_transactions`: ccxt (4.5.90) reads less than one unit as nothing."""
    if row.get("amount") is not None:
        return row
    facts = {name: value for name, value in row["info"].items() if "_" not in name and name not in _BITSTAMP_NO_ASSET}
    moved = {name: parse_decimal(str(value)) for name, value in facts.items()}
    ((asset, amount),) = ((name, qty) for name, qty in moved.items() if qty)
    return {**row, "currency": asset.upper(), "amount": fmt(abs(amount))}


_BITSTAMP_NO_ASSET = frozenset({"id", "datetime", "type", "fee", "price", "status"})

TRANSFER_ROWS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {"bitstamp": _bitstamp_transfer}
"""Exchanges whose parsed deposits and withdrawals have to be mended from their raw rows."""


def transfer_calls(has: Mapping[str, Any]) -> list[tuple[str, tuple[int, ...]]]:
    """Return the unified calls that list deposits (1) and withdrawals (-1), those for one kind first."""
    calls = [
        (method, (sign,))
        for name, method, sign in (
            ("fetchDeposits", "fetch_deposits", 1),
            ("fetchWithdrawals", "fetch_withdrawals", -1),
        )
        if has.get(name) is True
    ]
    missing = tuple(sign for sign in (1, -1) if (sign,) not in [signs for _, signs in calls])
    return [
        *calls,
        *([("fetch_deposits_withdrawals", missing)] if missing and has.get("fetchDepositsWithdrawals") is True else []),
    ]


def redirected_urls(urls: Mapping[str, Any], config: VenueConfig) -> dict[str, Any]:
    """Return an exchange's table of URLs with those of the configuration in place of its own.

    A configured URL that has a path replaces the whole; one that has none replaces the host alone.
    """
    return {name: _redirected(name, value, config) for name, value in urls.items()}


def _redirected(name: str, value: Any, config: VenueConfig) -> Any:
    if isinstance(value, Mapping):
        return {inner: _redirected(f"{name}.{inner}", one, config) for inner, one in value.items()}
    if not isinstance(value, str):
        return value
    parts = urlsplit(value)
    private_url = config.ws_private_url if "private" in name.lower() else ""
    bases = {"http": config.rest_url, "https": config.rest_url}
    base = bases.get(parts.scheme, private_url or config.ws_public_url)
    if not base:
        return value
    return base.rstrip("/") + ("" if urlsplit(base).path.strip("/") else parts.path)
