"""What a U.S. digital asset broker has to be told so that a choice of units counts there, in words to send.

Rules of this file (26 CFR 1.1012-1(j)(3)(ii), (j)(4); Notice 2026-20 sections 3.03, 4.02; read November 2026):
- From 2027 on units held by a broker are identified to the broker, by date and time of acquisition, price, or another
  identifier that the broker takes; no later than the sale, disposal or transfer. A standing order is given once.
- Before, the books are enough; telling the broker as well does no harm.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from arbot.domain.events import LotOrderRecorded, LotsPicked
from arbot.domain.history import FillLine, HistoryLine, IncomeLine, LotMethod, OpeningLine
from arbot.domain.units import EXACT, fmt
from arbot.ledger.lots.policy import Custody

ORDERED: Final = {
    LotMethod.FIFO: "those that I acquired earliest, by the time at which I acquired them",
    LotMethod.LIFO: "those that I acquired latest, by the time at which I acquired them",
    LotMethod.HIFO: "those with the highest cost basis per unit",
    LotMethod.LOFO: "those with the lowest cost basis per unit",
}


def is_custodial(account: str, custody: dict[str, str]) -> bool:
    """Return whether an account counts as held by a broker: as said of it, or of its venue; the stricter where not said."""
    keeper = custody.get(account) or custody.get(account.partition(".")[0]) or Custody.BROKER
    return Custody(keeper) is Custody.BROKER


def order_instruction(order: LotOrderRecorded, account: str) -> str:
    """Return the standing order to give to the broker that keeps an account."""
    units = f"units of {order.asset}" if order.asset else "units of a digital asset"
    return (
        f"To {account}: standing order on which units to take (26 CFR 1.1012-1(j)(3)(ii))\n"
        f"Whenever I sell, dispose of or transfer {units} that you hold for me and name no units for it, take first"
        f" {ORDERED[order.method]}. This order holds until I replace it. Please confirm it, with its date and time."
    )


def pick_instruction(pick: LotsPicked, acquired: dict[str, str]) -> str:
    """Return the units to name to the broker; `acquired` tells of lots, by name, when and for what they were acquired."""
    rows = [
        f"- {fmt(one.qty)} units {acquired[one.lot]} (lot {one.lot})"
        if one.lot in acquired
        else f"- {fmt(one.qty)} units of lot {one.lot}"
        for one in pick.lots
    ]
    return "\n".join(
        (
            "To the broker that keeps these units: units of one disposal (26 CFR 1.1012-1(j)(3)(ii))",
            f"For my order or transfer {pick.disposal} take these units, in this order:",
            *rows,
            "Please confirm it, with its date and time, no later than the disposal.",
        )
    )


def acquisitions(lines: Iterable[HistoryLine]) -> dict[str, str]:
    """Return in words when and for what the lots of these lines were acquired, by lot; lines that acquire none are left out."""
    told: dict[str, str] = {}
    for line in lines:
        if isinstance(line, FillLine):
            is_buy = line.side == "buy"
            got = f"{fmt(line.amount)} {line.base}" if is_buy else f"{fmt(line.cost)} {line.quote}"
            for_what = f"{fmt(line.cost)} {line.quote}" if is_buy else f"{fmt(line.amount)} {line.base}"
            told[line.id] = f"acquired {line.ts} at {line.venue}: {got} for {for_what}"
        elif isinstance(line, OpeningLine):
            told[line.id] = (
                f"acquired {line.acquired}: {fmt(line.amount)} {line.asset} with a basis of {fmt(line.basis)} USD"
            )
        elif isinstance(line, IncomeLine) and line.asset in line.px:
            value = EXACT.multiply(line.amount, line.px[line.asset])
            told[line.id] = (
                f"received {line.ts} at {line.venue}: {fmt(line.amount)} {line.asset} worth {fmt(value)} USD"
            )
    return told
