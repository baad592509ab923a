"""remaining.jsonl, the lots at the end of history, and lots-open.csv, those at the end of the year."""

from __future__ import annotations

from collections.abc import Iterable
from json.encoder import encode_basestring

from arbot.ledger.cells import cell
from arbot.ledger.lots.words import Remaining
from arbot.tax.bundle.folder import Folder
from arbot.tax.bundle.texts import plain, utc

HEADER_OPEN = "account,asset,lot,units,basis,acquired_utc"


def write_remaining(folder: Folder, lots: Iterable[Remaining]) -> None:
    """Write what is left after the last line of history, exact."""
    sheet = folder.sheet("remaining.jsonl")
    for lot in lots:
        sheet.put(
            f'{{"account": "{lot.account}", "asset": "{lot.asset}", "lot": {encode_basestring(lot.lot)}, '
            f'"qty": "{plain(lot.qty)}", "basis": "{plain(lot.basis)}", "acquired": "{utc(lot.acquired_ns)}"}}'
        )
    sheet.flush()


def write_open(folder: Folder, lots: Iterable[Remaining]) -> None:
    """Write what is left at the end of the year."""
    sheet = folder.sheet("lots-open.csv", HEADER_OPEN)
    for lot in lots:
        sheet.put(
            f"{lot.account},{lot.asset},{cell(lot.lot)},{plain(lot.qty)},{plain(lot.basis)},{utc(lot.acquired_ns)}"
        )
    sheet.flush()
