"""wash-sales-shadow.csv: which losses a wash-sale rule would disallow, beside the figures and never in them."""

from __future__ import annotations

from collections.abc import Sequence

from arbot.domain.units import ZERO
from arbot.ledger.jurisdictions.us.amounts import cents
from arbot.ledger.jurisdictions.us.wash_sales import HEADER_WASH_SALES, WashShadow, csv_wash_sale
from arbot.ledger.lots.words import Remaining
from arbot.tax.bundle.folder import Folder
from arbot.tax.bundle.passing import Span
from arbot.tax.bundle.told import Grid

FILE = "wash-sales-shadow.csv"


def write_wash_sales(folder: Folder, shadow: WashShadow, left: Sequence[Remaining], span: Span) -> list[Grid]:
    """Write the sales a rule would catch and return their sum for the summary."""
    sheet = folder.sheet(FILE, HEADER_WASH_SALES)
    for sale in shadow.sales(left, span.start_ns, span.end_ns):
        sheet.put(csv_wash_sale(sale))
    disallowed = returned = ZERO
    for total in shadow.totals():
        disallowed, returned = disallowed + total.disallowed, returned + total.returned
    row = ("if wash sales of coins counted, which they do not", f"{cents(disallowed):,}", f"{cents(returned):,}")
    header = ("shadow report, in no figure above", "losses disallowed", "returned by later sales")
    return [Grid(f"Wash sales ({FILE})", header, (row,))]
