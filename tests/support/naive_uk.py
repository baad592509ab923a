"""United Kingdom share matching the slow way, in fractions and whole passes over lists: what the engine is compared with.

Written from the rules (TCGA 1992 s.104, s.105, s.106A; HMRC CRYPTO22150, 22250-22257, 22280) and from nothing of arbot.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

CASH = {"USD", "EUR", "GBP", "CAD", "AUD", "CHF", "JPY"}
LONDON = ZoneInfo("Europe/London")

Event = tuple[str, date, bool, Fraction, Fraction]
"""(asset, day, is a purchase, quantity, pounds net of costs)."""


def matched(events: list[Event]) -> tuple[dict, dict]:
    """Return (asset, day) -> {"proceeds", "cost", "same-day", "30-day", "s104"}, and asset -> (quantity, cost) of pools."""
    bought: dict = defaultdict(lambda: defaultdict(lambda: [Fraction(0), Fraction(0)]))
    sold: dict = defaultdict(lambda: defaultdict(lambda: [Fraction(0), Fraction(0)]))
    for asset, day, is_purchase, qty, value in events:
        cell = (bought if is_purchase else sold)[asset][day]
        cell[0] += qty
        cell[1] += value
    told: dict = {}
    pools: dict = {}
    for asset in set(bought) | set(sold):
        unit = {day: value / qty for day, (qty, value) in bought[asset].items()}
        free = {day: qty for day, (qty, _) in bought[asset].items()}
        left = {day: qty for day, (qty, _) in sold[asset].items()}
        for day, (_, proceeds) in sold[asset].items():
            told[asset, day] = {
                "proceeds": proceeds, "cost": Fraction(0), "same-day": Fraction(0), "30-day": Fraction(0), "s104": Fraction(0),
            }  # fmt: skip

        def meet(on: date, purchase: date, rule: str, asset=asset, unit=unit, free=free, left=left) -> None:
            qty = min(left[on], free.get(purchase, Fraction(0)))
            if qty:
                left[on] -= qty
                free[purchase] -= qty
                told[asset, on]["cost"] += qty * unit[purchase]
                told[asset, on][rule] += qty

        for day in left:
            meet(day, day, "same-day")
        for day in sorted(left):
            for after in range(1, 31):
                meet(day, day + timedelta(days=after), "30-day")
        qty_pool = cost_pool = Fraction(0)
        for day in sorted(set(free) | set(left)):
            if free.get(day):
                qty_pool += free[day]
                cost_pool += free[day] * unit[day]
            if left.get(day):
                cost = cost_pool * left[day] / qty_pool
                told[asset, day]["cost"] += cost
                told[asset, day]["s104"] += left[day]
                qty_pool -= left[day]
                cost_pool -= cost
        pools[asset] = (qty_pool, cost_pool)
    return told, pools


def events_of(rows: list[dict], fx: str) -> list[Event]:
    """Return what canonical lines mean, `fx` pounds for one USD where a line has no rate of its own."""
    events: list[Event] = []
    for row in rows:
        day = datetime.fromisoformat(row["ts"][:19] + "+00:00").astimezone(LONDON).date()
        rate = Fraction(row.get("fx", {}).get("GBP", fx))
        pounds = {asset: Fraction(price) * rate for asset, price in row.get("px", {}).items()}
        pounds["USD"] = rate
        pounds["GBP"] = Fraction(1)
        kind = row["kind"]
        if kind == "opening":
            when = datetime.fromisoformat(row["acquired"][:19] + "+00:00").astimezone(LONDON).date()
            events.append((row["asset"], when, True, Fraction(row["amount"]), Fraction(row["basis"]) * rate))
        elif kind in {"income", "spend"} and row["asset"] not in CASH:
            qty = Fraction(row["amount"])
            events.append((row["asset"], day, kind == "income", qty, qty * pounds[row["asset"]]))
        elif kind == "transfer" and row["asset"] not in CASH and Fraction(row["fee"]):
            qty = Fraction(row["fee"])
            events.append((row["asset"], day, False, qty, qty * pounds[row["asset"]]))
        elif kind == "fill":
            events += fill_events(row, day, pounds)
    return events


def fill_events(row: dict, day: date, pounds: dict[str, Fraction]) -> list[Event]:
    """Return the purchase, the disposal and the fee of one execution."""
    amount, cost, fee = (Fraction(row[name]) for name in ("amount", "cost", "fee"))
    value = cost * pounds[row["quote"]]
    out, into = (row["quote"], cost), (row["base"], amount)
    if row["side"] == "sell":
        out, into = into, out
    is_withheld = fee > 0 and row["fee_ccy"] == into[0]
    worth = value * fee / into[1] if is_withheld else fee * pounds[row["fee_ccy"]] if fee else Fraction(0)
    is_coin_fee = bool(fee) and row["fee_ccy"] not in CASH
    borne = Fraction(0) if is_coin_fee and fee < 0 else worth
    coins = [asset for asset, _ in (out, into) if asset not in CASH]
    events: list[Event] = []
    if out[0] not in CASH:
        events.append((*(out[0], day), False, out[1], value - borne / len(coins)))
    if into[0] not in CASH:
        events.append((*(into[0], day), True, into[1], value + borne / len(coins)))
    if is_coin_fee:
        events.append((row["fee_ccy"], day, fee < 0, abs(fee), abs(worth)))
    return events
