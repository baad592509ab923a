"""Where exchanges differ from ccxt's unified terms, as data. An exchange that is not listed gets the unified term.

ccxt passes parameters it does not know through unchanged, and some exchanges then ignore them: an order meant as
immediate-or-cancel would rest. What a table says is therefore verified on the bytes before they leave.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from arbot.domain.order import TimeInForce
from arbot.ports import VenueConfig

CLIENT_ID_PARAMETER: dict[str, str] = {"coinbase": "client_order_id"}
CLIENT_ID_UNIFIED = "clientOrderId"

TIME_IN_FORCE: dict[str, dict[TimeInForce, dict[str, str]]] = {
    "bitstamp": {TimeInForce.IOC: {"ioc_order": "true"}, TimeInForce.FOK: {"fok_order": "true"}, TimeInForce.GTC: {}},
}
TIME_IN_FORCE_UNIFIED: dict[TimeInForce, dict[str, str]] = {
    TimeInForce.IOC: {"timeInForce": "IOC"},
    TimeInForce.FOK: {"timeInForce": "FOK"},
    TimeInForce.GTC: {},
}
TIME_IN_FORCE_MARKS: dict[TimeInForce, tuple[str, ...]] = {
    TimeInForce.IOC: ("ioc", "immediate"),
    TimeInForce.FOK: ("fok", "fill_or_kill", "fillorkill"),
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
