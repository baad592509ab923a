"""Every metric there is: name, type, unit, labels, meaning. What is not in this list cannot be counted."""

from __future__ import annotations

from arbot.observe.catalogue import execution, market, opportunities, process, risk, treasury
from arbot.observe.catalogue.words import Metric

GROUPS: dict[str, tuple[Metric, ...]] = {
    "Market data": market.ROWS,
    "Opportunities": opportunities.ROWS,
    "Execution": execution.ROWS,
    "Treasury and tax": treasury.ROWS,
    "Risk": risk.ROWS,
    "Process": process.ROWS,
}

CATALOGUE: dict[str, Metric] = {row.name: row for rows in GROUPS.values() for row in rows}
