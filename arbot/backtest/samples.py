"""The account over time, in bounded memory.

At most SAMPLES_MAX samples are kept. When there are more, of every four neighbours the one with the least and the one with
the most equity stay, in their order, so that peaks and drawdowns survive; exposure and limit use of those that go are kept
as maxima in the next that stays. The drawdown is measured on every sample ever taken.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from arbot.backtest.result import SampleRow
from arbot.domain.units import ZERO

SAMPLES_MAX = 20_000
CENT = Decimal("0.00000001")  # samples are rounded to this, half even: they are for drawing


class Samples:
    """Takes samples, thins them out, and knows the largest fall from a peak."""

    def __init__(self, samples_max: int = SAMPLES_MAX) -> None:
        self._max = samples_max
        self._rows: list[SampleRow] = []
        self._peak: Decimal | None = None  # before the first sample there is none
        self.drawdown_max = ZERO
        self.gap_ns = 0  # samples nearer than this to the one before would be thinned out again

    @property
    def rows(self) -> tuple[SampleRow, ...]:
        """Return what is kept, oldest first."""
        return tuple(self._rows)

    def add(self, row: SampleRow) -> None:
        """Take a sample; one of the same moment as the last replaces it."""
        self._peak = row.equity if self._peak is None else max(self._peak, row.equity)
        self.drawdown_max = max(self.drawdown_max, self._peak - row.equity)
        if self._rows and self._rows[-1].ts_ns == row.ts_ns:
            row = _merged(self._rows.pop(), row)
        self._rows.append(row)
        if len(self._rows) > self._max:
            self._thin_out()

    def lift(self, venue: str, value: Decimal) -> None:
        """Add a constant to all samples so far: something held all the while has got its first price."""
        if self._peak is not None:
            self._peak += value
        self._rows = [
            msgspec.structs.replace(
                row,
                equity=row.equity + value,
                value_by_venue={**row.value_by_venue, venue: row.value_by_venue.get(venue, ZERO) + value},
            )
            for row in self._rows
        ]

    def _thin_out(self) -> None:
        kept: list[SampleRow] = []
        for at in range(0, len(self._rows), 4):
            group = self._rows[at : at + 4]
            chosen = {id(min(group, key=lambda row: row.equity)), id(max(group, key=lambda row: row.equity))}
            waiting: SampleRow | None = None
            for row in group:
                whole = row if waiting is None else _merged(waiting, row)
                if id(row) in chosen:
                    kept.append(whole)
                    waiting = None
                else:
                    waiting = whole
            if waiting is not None:
                kept[-1] = _merged(waiting, kept[-1])
        if kept[-1].ts_ns != self._rows[-1].ts_ns:
            kept.append(self._rows[-1])
        self._rows = kept
        self.gap_ns = (kept[-1].ts_ns - kept[0].ts_ns) // len(kept)


def _merged(gone: SampleRow, row: SampleRow) -> SampleRow:
    """Return `row` with the peaks of one that goes."""
    use = dict(row.limit_use)
    for limit, share in gone.limit_use.items():
        use[limit] = max(share, use.get(limit, 0.0))
    return msgspec.structs.replace(row, unhedged=max(row.unhedged, gone.unhedged), limit_use=use)
