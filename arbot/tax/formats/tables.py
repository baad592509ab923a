"""The table of every format: what `--format` takes, and what each needs to be made."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from arbot.tax.formats import (
    bittytax,
    blockpit,
    coinledger,
    cointracker,
    cointracking,
    koinly,
    rotki,
    taxbit,
    turbotax,
)
from arbot.tax.formats.words import TableFormat


class Needs(StrEnum):
    """What a format is made from."""

    LINES = "lines"  # history as it is
    SLICES = "slices"  # lots matched under a country's rules


class Known(NamedTuple):
    """A format as the command line knows it."""

    title: str
    suffix: str
    needs: Needs


TABLES: Final[Mapping[str, TableFormat]] = {
    one.name: one
    for one in (
        turbotax.TRANSACTIONS,
        koinly.KOINLY,
        cointracker.COINTRACKER,
        coinledger.COINLEDGER,
        taxbit.TAXBIT,
        cointracking.COINTRACKING,
        cointracking.TOKENTAX,
        blockpit.BLOCKPIT,
        bittytax.BITTYTAX,
        rotki.ROTKI_TRADES,
        rotki.ROTKI_EVENTS,
    )
}

FORMATS: Final[Mapping[str, Known]] = {
    "turbotax": Known("TurboTax, gains", "csv", Needs.SLICES),
    **{name: Known(one.title, "csv", Needs.LINES) for name, one in TABLES.items()},
    "rp2": Known("RP2, spreadsheet and INI", "ods", Needs.SLICES),
    "beancount": Known("beancount, with lots", "beancount", Needs.SLICES),
    "hledger": Known("hledger", "journal", Needs.LINES),
}
