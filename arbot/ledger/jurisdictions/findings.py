"""Open items and notes that several countries tell in the same words."""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.units import fmt
from arbot.ledger.jurisdictions.days import day_text
from arbot.ledger.lots.words import Acquire, OpenItem, Shortage


def no_basis(line: str, account: str, qty: Decimal, asset: str, day: int) -> OpenItem:
    """Return that so many units were disposed of that nobody acquired."""
    return Shortage(
        "no_basis",
        f"{line} at {account}",
        f"{fmt(qty)} {asset} disposed of on {day_text(day)} were never acquired",
        "import the history before it, or an opening line with quantity, basis and time of acquisition: "
        "`arbot ledger import FILE`",
        asset=asset,
        qty=qty,
    )


def opening_late(effect: Acquire, acquired: int, today: int, sold_last: int) -> OpenItem:
    """Return that coins with a history came in after a disposal that they would have changed."""
    return OpenItem(
        "opening_late",
        f"{effect.lot} at {effect.account}",
        f"{fmt(effect.qty)} {effect.asset} acquired on {day_text(acquired)} come into history on {day_text(today)}, after "
        f"{effect.asset} was disposed of on {day_text(sold_last)}; they count as bought on the later day",
        f"date the opening line before the first disposal of {effect.asset}",
    )


def history_ends_early(days: list[int], count: int, today: int, window_days: int, effect: str) -> OpenItem:
    """Return that purchases after the end of history could still change disposals of these days, sorted."""
    return OpenItem(
        "history_ends_early",
        f"{count} disposals from {day_text(days[0])} to {day_text(days[-1])}",
        f"history ends on {day_text(today)}, before the {window_days} days after them are over: {effect}",
        f"report again once history covers {day_text(days[-1] + window_days + 1)}",
    )
