"""Golden lot cases as policies and effects, and slices summed the way the cases state them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from arbot.domain.history import LotMethod, PickedLot, parse_ts
from arbot.domain.units import EXACT
from arbot.ledger.jurisdictions.us.terms import Terms
from arbot.ledger.lots.policy import AllocationKind, Custody, LotPolicy, Pick, Pool, StandingOrder
from arbot.ledger.lots.words import Acquire, Dispose, LotEffect, Remaining, Remove, Send, Slice, Why

TOLERANCE = Decimal("0.000001")
ZERO = Decimal(0)


def instant(text: str | None) -> int:
    """Return ns of a time, 0 where there is none."""
    return parse_ts(text) if text else 0


def policy_of(case: dict[str, Any]) -> LotPolicy:
    """Return the policy a case is judged under."""
    method = case["method"]
    by_year = {int(year): LotMethod(name) for year, name in method.items()} if isinstance(method, dict) else {}
    allocation = case.get("allocation") or {}
    return LotPolicy(
        method=LotMethod.FIFO if by_year else LotMethod(method),
        method_by_year=by_year,
        pool=Pool(case["pool"]),
        orders=tuple(_order(order) for order in case.get("orders") or ()),
        picks={tx["id"]: _pick(tx["pick"]) for tx in case.get("tx", ()) if tx.get("pick")},
        custody={name: Custody(kind) for name, kind in (case.get("accounts") or {}).items()},
        allocation=AllocationKind(allocation["kind"]) if allocation else None,
        allocation_completed_ns=instant(allocation.get("completed_at")),
    )


def _order(order: dict[str, Any]) -> StandingOrder:
    return StandingOrder(
        method=LotMethod(order["method"]),
        recorded_ns=instant(order.get("recorded_at")),
        told_broker_ns=instant(order.get("told_broker_at")),
        account=order.get("account") or "",
        asset=order.get("asset") or "",
    )


def _pick(pick: dict[str, Any]) -> Pick:
    return Pick(
        lots=tuple(PickedLot(named["lot"], Decimal(named["qty"])) for named in pick["lots"]),
        recorded_ns=instant(pick.get("recorded_at")),
        told_broker_ns=instant(pick.get("told_broker_at")),
    )


def legs_of(tx: dict[str, Any]) -> list[LotEffect]:
    """Return the effects of one transaction of a case, whose fees are already allocated in words."""
    kind, name, account, ts_ns = tx["t"], tx["id"], tx["account"], parse_ts(tx["ts"])
    if kind == "swap":
        return list(_swap(tx, ts_ns))
    asset = tx["asset"]
    if kind == "move":
        sent, received = Decimal(tx["sent"]), Decimal(tx["received"])
        arrives_ns = instant(tx.get("ts_in")) or ts_ns
        fee = sent - received
        value = fee * Decimal(tx["price"])
        charged = [Dispose(f"{name}:fee", account, asset, fee, value, Why.TRANSFER_FEE)] if fee else []
        return [*charged, Send(name, account, tx["to"], asset, received, arrives_ns)]
    qty = Decimal(tx["qty"])
    cash, fee = Decimal(tx.get("cash", 0)), Decimal(tx.get("fee", 0))
    return {
        "buy": lambda: [Acquire(name, account, asset, qty, cash + fee, ts_ns)],
        "sell": lambda: [Dispose(name, account, asset, qty, cash - fee, Why.SELL)],
        "spend": lambda: [Dispose(name, account, asset, qty, cash - fee, Why.SPEND)],
        "opening": lambda: [
            Acquire(name, account, asset, qty, qty * Decimal(tx["unit_basis"]), parse_ts(tx["acquired"]))
        ],
        "income": lambda: [Acquire(name, account, asset, qty, Decimal(tx["value"]), ts_ns)],
        "gift": lambda: [Remove(name, account, asset, qty)],
    }[kind]()


def _swap(tx: dict[str, Any], ts_ns: int) -> Iterator[LotEffect]:
    name, account, give, get = tx["id"], tx["account"], tx["give"], tx["get"]
    value = Decimal(get["value"])
    on_top, withheld = tx.get("withheld_from_given"), tx.get("withheld_from_received")
    charged = tx.get("fee_assets") or []
    proceeds = value - Decimal(tx.get("cost_cash", 0)) - sum(Decimal(f["value"]) for f in charged if f["for"] == "main")
    given = Decimal(give["qty"]) + (Decimal(on_top["qty"]) if on_top else 0)
    if withheld:
        proceeds -= Decimal(withheld["value"])
    yield Dispose(name, account, give["asset"], given, proceeds, Why.SELL)
    yield Acquire(name, account, get["asset"], Decimal(get["qty"]), value, ts_ns)
    if withheld:
        qty, worth = Decimal(withheld["qty"]), Decimal(withheld["value"])
        yield Dispose(f"{name}:fee", account, get["asset"], qty, worth, Why.WITHHELD, name)
    for asset in dict.fromkeys(fee["asset"] for fee in charged):
        parts = [fee for fee in charged if fee["asset"] == asset]
        net = sum((Decimal(fee["value"]) for fee in parts if fee["for"] == "main"), ZERO)
        yield Dispose(f"{name}:fee", account, asset, sum((Decimal(fee["qty"]) for fee in parts), ZERO), net, Why.FEE)


def rows_of(slices: Iterable[Slice], timezone: str = "UTC") -> dict[tuple, dict[str, Decimal]]:
    """Return quantity, proceeds, basis and gain by (disposal, lot, term, is it withheld)."""
    terms = Terms(timezone)
    rows: dict[tuple, dict[str, Decimal]] = defaultdict(
        lambda: dict.fromkeys(("qty", "proceeds", "basis", "gain"), ZERO)
    )
    for part in slices:
        row = rows[part.disposal, part.lot, terms.of(part.acquired_ns, part.sold_ns), part.why is Why.WITHHELD]
        gain = EXACT.subtract(part.proceeds, part.basis)
        for name, number in (("qty", part.qty), ("proceeds", part.proceeds), ("basis", part.basis), ("gain", gain)):
            row[name] = EXACT.add(row[name], number)
    return dict(rows)


def left_of(remaining: Iterable[Remaining]) -> dict[tuple, dict[str, Decimal]]:
    """Return quantity and basis left by (account, asset, lot)."""
    return {(left.account, left.asset, left.lot): {"qty": left.qty, "basis": left.basis} for left in remaining}


def assert_close(expected: dict, actual: dict) -> None:
    """Check that both have the same keys and numbers to the tolerance, quantities exactly; None is not asserted."""
    assert sorted(expected) == sorted(actual)
    for key, numbers in expected.items():
        for name, number in numbers.items():
            if name == "qty":
                assert Decimal(number) == actual[key][name], (key, name)
            elif number is not None:
                assert abs(Decimal(number) - actual[key][name]) <= TOLERANCE, (key, name, number, actual[key][name])
