"""identification.csv and open-items.csv: what fixed the choice of lots, and what was let pass by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from arbot.domain.history import Placed
from arbot.domain.units import fmt
from arbot.ledger.cells import cells
from arbot.ledger.lots.policy import LotPolicy, Pick
from arbot.ledger.lots.words import OpenItem, Slice
from arbot.tax.bundle.folder import Folder
from arbot.tax.bundle.passing import Span
from arbot.tax.bundle.texts import utc, utc_or_empty

HEADER_IDENTIFICATION = "kind,account,asset,choice,recorded_at,told_broker_at,disposal,disposed_at"
HEADER_OPEN_ITEMS = "code,where,what,remedy"


class Identification:
    """Keeps in mind when the disposals of picks happened, and writes orders and picks."""

    def __init__(self, policy: LotPolicy) -> None:
        self._policy = policy
        self._disposed_ns: dict[str, int] = {}

    def hearers(self) -> tuple[Identification, ...]:
        """Return who has to hear the lines of the year: nobody where nothing was said of a disposal by itself."""
        return (self,) if self._policy.picks or self._policy.by_order else ()

    def line(self, placed: Placed, slices: Sequence[Slice]) -> None:
        """Take note of a line that a pick names, and of a disposal whose order said which units go."""
        name = placed.line.id
        if name in self._policy.picks or (slices and name in self._policy.by_order):
            self._disposed_ns[name] = placed.ts_ns

    def write(self, folder: Folder, span: Span) -> None:
        """Write the standing orders recorded before the year's end, then what was said of each disposal by itself."""
        sheet = folder.sheet("identification.csv", HEADER_IDENTIFICATION)
        orders = [
            order for order in self._policy.orders if _first(order.recorded_ns, order.told_broker_ns) < span.end_ns
        ]
        for order in sorted(orders, key=lambda order: (order.recorded_ns, order.account, order.asset)):
            sheet.put(
                cells(
                    "standing order",
                    order.account or "all",
                    order.asset or "all",
                    order.method.value,
                    utc_or_empty(order.recorded_ns),
                    utc_or_empty(order.told_broker_ns),
                    *("", ""),
                )
            )
        for disposal in sorted(self._disposed_ns, key=lambda ident: (self._disposed_ns[ident], ident)):
            at = utc(self._disposed_ns[disposal])
            own, pick = self._policy.by_order.get(disposal), self._policy.picks.get(disposal)
            if own is not None:
                sheet.put(cells("order", "", "", own.method.value, utc_or_empty(own.recorded_ns), "", disposal, at))
            for one in () if pick is None else (*reversed(pick.before), pick):
                told = (utc_or_empty(one.recorded_ns), utc_or_empty(one.told_broker_ns))
                sheet.put(cells("pick", "", "", _named(one), *told, disposal, at))


def write_open_items(folder: Folder, items: Iterable[OpenItem]) -> None:
    """Write what was accepted."""
    sheet = folder.sheet("open-items.csv", HEADER_OPEN_ITEMS)
    for item in items:
        sheet.put(cells(item.code, item.where, item.what, item.remedy))


def _named(pick: Pick) -> str:
    return " ".join(f"{lot.lot}={fmt(lot.qty)}" for lot in pick.lots)


def _first(recorded_ns: int, told_ns: int) -> int:
    return min((at for at in (recorded_ns, told_ns) if at), default=0)
