"""Requests in groups, for whoever counts them: what a path, or a unified call of ccxt, is about.

A path that no table has is `other`; a test finds every path our code asks for in its table.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

MARKET = "market"  # what everybody may ask: instruments, time, status
ACCOUNT = "account"  # balances, fees, what the key may do
ORDERS = "orders"  # placing, cancelling, asking after, and their fills
TRANSFERS = "transfers"  # deposits, withdrawals, addresses, networks
OTHER = "other"

KRAKEN: dict[str, str] = {
    "Assets": MARKET,
    "AssetPairs": MARKET,
    "SystemStatus": MARKET,
    "Time": MARKET,
    "BalanceEx": ACCOUNT,
    "GetApiKeyInfo": ACCOUNT,
    "GetWebSocketsToken": ACCOUNT,
    "TradeVolume": ACCOUNT,
    "AddOrder": ORDERS,
    "CancelOrder": ORDERS,
    "ClosedOrders": ORDERS,
    "OpenOrders": ORDERS,
    "QueryOrders": ORDERS,
    "TradesHistory": ORDERS,
    "DepositAddresses": TRANSFERS,
    "DepositMethods": TRANSFERS,
    "DepositStatus": TRANSFERS,
    "Withdraw": TRANSFERS,
    "WithdrawAddresses": TRANSFERS,
    "WithdrawInfo": TRANSFERS,
    "WithdrawMethods": TRANSFERS,
    "WithdrawStatus": TRANSFERS,
}
"""By the last part of the path."""

COINBASE: tuple[tuple[str, str], ...] = (
    ("brokerage/market/", MARKET),
    ("brokerage/time", MARKET),
    ("brokerage/accounts", ACCOUNT),
    ("brokerage/key_permissions", ACCOUNT),
    ("brokerage/transaction_summary", ACCOUNT),
    ("brokerage/orders", ORDERS),
    ("v2/accounts", TRANSFERS),
)
"""By the first part of the path that is found in it; v2 is asked about money in and out alone."""

CCXT: dict[str, str] = {
    "fetch_currencies": MARKET,
    "fetch_order_book": MARKET,
    "fetch_status": MARKET,
    "fetch_time": MARKET,
    "load_markets": MARKET,
    "public_get_currencies": MARKET,
    "fetch_balance": ACCOUNT,
    "fetch_trading_fee": ACCOUNT,
    "fetch_trading_fees": ACCOUNT,
    "cancel_order": ORDERS,
    "create_order": ORDERS,
    "fetch_canceled_orders": ORDERS,
    "fetch_closed_orders": ORDERS,
    "fetch_my_trades": ORDERS,
    "fetch_open_orders": ORDERS,
    "fetch_order": ORDERS,
    "fetch_deposit_address": TRANSFERS,
    "fetch_deposits": TRANSFERS,
    "fetch_deposits_withdrawals": TRANSFERS,
    "fetch_withdrawals": TRANSFERS,
    "withdraw": TRANSFERS,
}
"""By the unified call a request was made for, whatever its path."""

GroupOf = Callable[[str], str]
"""From a URL to the group of its endpoint."""


def kraken_group(url: str) -> str:
    """Return the group of one of Kraken's paths."""
    return KRAKEN.get(urlsplit(url).path.rpartition("/")[2], OTHER)


def coinbase_group(url: str) -> str:
    """Return the group of one of Coinbase's paths."""
    path = urlsplit(url).path
    return next((group for part, group in COINBASE if part in path), OTHER)
