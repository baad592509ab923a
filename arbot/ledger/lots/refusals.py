"""What the lot book refuses or has to tell, in words: each names the line, the account, what is wrong and what to do next.

Rules of this file:
- An open item keeps a report from being filed. A run goes on after it, so that all of them are told at once.
- A note is told and blocks nothing.
"""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.history import format_ts
from arbot.domain.units import EXACT, fmt
from arbot.ledger.lots.words import Dispose, OpenItem, Remove, Send, Shortage

Leaving = Dispose | Send | Remove

NO_BASIS = "no_basis"
PICK_NOT_HELD = "pick_not_held"
PICK_VOID = "pick_void"
ALLOCATION_MISSING = "allocation_missing"
ALLOCATION_TWICE = "allocation_twice"
MISSING_PRICE = "missing_price"

_IMPORT = "arbot ledger import FILE"


def units_missing(event: str, effect: Leaving, ts_ns: int, missing: Decimal) -> OpenItem:
    """Say that more units leave an account than have a lot there."""
    account, asset, qty = effect.account, effect.asset, effect.qty
    held = EXACT.subtract(qty, missing)
    return Shortage(
        NO_BASIS,
        f"{event} at {account}",
        f"{fmt(qty)} {asset} leave {account} at {format_ts(ts_ns)}, which has lots for {fmt(held)}: {fmt(missing)} are missing",
        f"import what brought them there, or an `opening` line with their basis and time of acquisition: {_IMPORT}",
        asset=asset,
        qty=missing,
    )


def lot_not_held(event: str, effect: Leaving, ts_ns: int, lot: str, missing: Decimal) -> OpenItem:
    """Say that a pick names units the account does not hold."""
    return OpenItem(
        PICK_NOT_HELD,
        f"{event} at {effect.account}",
        f"the pick names {fmt(missing)} {effect.asset} of lot {lot} more than {effect.account} holds at {format_ts(ts_ns)}",
        "name units that are there before the disposal: `arbot tax pick`; units cannot be named afterwards",
    )


def pick_void(event: str, effect: Leaving, ts_ns: int, reason: str, method: str) -> OpenItem:
    """Tell that a pick does not count, and what chose instead."""
    return OpenItem(
        PICK_VOID,
        f"{event} at {effect.account}",
        f"the pick of {effect.asset} for {format_ts(ts_ns)} is void, {reason}: {method} chose the units",
        "nothing: it is told, and the units of the report are the right ones",
    )


def allocation_differs(asset: str, told: str) -> OpenItem:
    """Say that the pool of an asset was not spread over accounts as it has to be."""
    return OpenItem(
        ALLOCATION_MISSING,
        asset,
        f"the pool of {asset} that ended with 2024 is not allocated to accounts as it stood: {told}",
        'import `opening` lines with ts 2025-01-01T00:00:00Z and "allocation": "specific" or "global" that add up to it:'
        f" {_IMPORT}",
    )


def allocation_is_late(lot: str, account: str, asset: str, ts_ns: int) -> OpenItem:
    """Say that an allocation line comes after the pool had to be spread; it is not booked."""
    return OpenItem(
        ALLOCATION_MISSING,
        f"{lot} at {account}",
        f"allocates {asset} at {format_ts(ts_ns)}, after the first other line of 2025",
        f"give it the ts 2025-01-01T00:00:00Z and import it again into a new ledger: {_IMPORT} --ledger NEW",
    )


def allocated_twice(lot: str, account: str, asset: str) -> OpenItem:
    """Say that an allocation line stands beside the history whose units it allocates; it is not booked."""
    return OpenItem(
        ALLOCATION_TWICE,
        f"{lot} at {account}",
        f"allocates {asset} out of a pool, and lots of {asset} from before it are here as well",
        "report with `--pool until-2025`, which ends the pool and puts the allocated lots in its place",
    )


def price_missing(line: str, account: str, asset: str, ts_ns: int) -> OpenItem:
    """Say that a line cannot be valued. What it brings has no lot, what it takes away has no slice."""
    return OpenItem(
        MISSING_PRICE,
        f"{line} at {account}",
        f"has no USD price of {asset} for {format_ts(ts_ns)}",
        f'state it under "px" of that line in the file it came from, and import the file into a new ledger:'
        f" {_IMPORT} --ledger NEW",
    )
