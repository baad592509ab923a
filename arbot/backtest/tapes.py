"""The tapes of a backtest: which recorded streams play which of our instruments, and what is refused.

Rules of the file:
- Every venue of the config is played by the recorded venue of its name, or by the one that `mapping` names.
- Content nobody could have traded against is refused unless it was asked for in words: bars, quotes without sizes
  (`assume_qty` says how much to pretend was there), and derivatives, whose difference to a spot price is not an arb.
- Whatever was overridden becomes a warning of the report.
- Rows come from the cache of raw columns when there is one for exactly these files, else from Parquet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec
import numpy as np

from arbot.backtest.stock import Listed, played_by
from arbot.domain.errors import Mistake, UserError
from arbot.market.books import scaled
from arbot.market.stream import BOOK_SHIFT, Rows
from arbot.settings.model import Settings
from arbot.tape.bars import as_quotes
from arbot.tape.cache import cached
from arbot.tape.catalogue import Dataset, open_tapes
from arbot.tape.merge import merged, streams
from arbot.tape.reader import Repairs
from arbot.tape.schema import Content, Market

FOR_EVER_NS = 1 << 62


class Allowances(msgspec.Struct, frozen=True, kw_only=True):
    """What the person said about data that is otherwise refused, and which part of it to play."""

    bars: bool = False
    derivatives: bool = False
    assume_qty: Decimal = Decimal(0)
    repair: bool = False
    first_ts_ns: int = 0
    last_ts_ns: int = FOR_EVER_NS


class TapeStock(msgspec.Struct, frozen=True, kw_only=True):
    """A Stock (stock.py) on disk."""

    streams: tuple[Listed, ...]
    datasets: tuple[Dataset, ...]
    rows: int
    key: str
    allowances: Allowances
    warnings: tuple[str, ...]
    repairs: Repairs
    cache_dir: Path | None = None  # None: straight from Parquet

    def chunks(self) -> Iterator[Rows]:
        """Yield all rows in order. Raises: UserError for a damaged file, unless repairing was allowed."""
        allowed = self.allowances
        if any(dataset.meta.content is Content.BARS for dataset in self.datasets):
            rows = as_quotes(self.datasets, self._assumed())
            yield from () if not len(rows) else (rows,)
        elif self.cache_dir is not None:
            whole = cached(self.datasets, self.cache_dir, build=True)
            yield from map(self._sized, _until(whole.chunks(), allowed.last_ts_ns))
        else:
            repairs = self.repairs if allowed.repair else None
            yield from map(self._sized, merged(self.datasets, last_ts_ns=allowed.last_ts_ns, repairs=repairs))

    def _assumed(self) -> list[int]:
        return [scaled(self.allowances.assume_qty, listed.instrument.qty_decimals) for listed in self.streams]

    def _sized(self, rows: Rows) -> Rows:
        """Give quotes whose size nobody recorded the assumed one."""
        unsized = [dataset.meta.content is Content.UNSIZED_QUOTES for dataset in self._firsts()]
        if not any(unsized):
            return rows
        per_book = np.where(unsized, self._assumed(), 0)[rows.tag >> BOOK_SHIFT]
        return rows.having(qty=np.where((rows.qty == 0) & (per_book > 0), per_book, rows.qty))

    def _firsts(self) -> list[Dataset]:
        firsts: dict[str, Dataset] = {}
        for dataset in self.datasets:
            firsts.setdefault(dataset.meta.instrument.id, dataset)
        return list(firsts.values())


def open_stock(
    paths: Sequence[Path],
    settings: Settings,
    *,
    mapping: Mapping[str, str],
    allowances: Allowances,
    cache_dir: Path | None,
) -> TapeStock:
    """Return the stock of a config from tapes. Raises: UserError naming everything that is missing or refused."""
    mistakes: list[Mistake] = []
    chosen: list[Dataset] = []
    listed: list[Listed] = []
    warnings: list[str] = []
    players = {mapping.get(str(config.venue), str(config.venue)): config for config in settings.venue_configs()}
    damaged: dict[Path, str] | None = {} if allowances.repair else None
    found = open_tapes(paths, damaged)
    mine = [one for one in found if one.venue in players and one.symbol in players[one.venue].symbols]
    for content_is_bars in (False, True):
        usable = [one for one in mine if (one.meta.content is Content.BARS) == content_is_bars]
        if usable:
            break
    for group in _by_instrument(usable):
        config = players[group[0].venue]
        trouble = tuple(_refusals(group, allowances))
        mistakes.extend(trouble)
        if not trouble:
            chosen.extend(group)
            meta = group[0].meta
            listed.append(Listed(played_by(meta.instrument, config.venue), meta.depth))
            warnings.extend(_warnings(group, allowances))
    mistakes.extend(_missing(settings, players, usable, found, paths))
    if mistakes:
        raise UserError(*mistakes)
    warnings.extend(f"{file.name} was left out: {what}" for file, what in (damaged or {}).items())
    return TapeStock(
        streams=tuple(listed),
        datasets=tuple(chosen),
        rows=sum(dataset.rows for dataset in chosen),
        key=_key(chosen),
        allowances=allowances,
        warnings=tuple(warnings),
        repairs=Repairs(),
        cache_dir=cache_dir,
    )


def _until(chunks: Iterator[Rows], last_ts_ns: int) -> Iterator[Rows]:
    """Yield the rows up to that time; all rows of a message have one."""
    for rows in chunks:
        stop = int(np.searchsorted(rows.recv_ts_ns, last_ts_ns, side="right"))
        yield rows.part(0, stop)
        if stop < len(rows):
            return


def _by_instrument(datasets: Sequence[Dataset]) -> list[list[Dataset]]:
    """Return the datasets of each instrument, its book first: the order in which tape.merge numbers them."""
    if not datasets:
        return []
    if datasets[0].meta.content is Content.BARS:
        groups: dict[str, list[Dataset]] = {}
        for dataset in datasets:
            groups.setdefault(dataset.meta.instrument.id, []).append(dataset)
        return list(groups.values())
    return [list(stream.datasets) for stream in streams(datasets)]


def _refusals(group: Sequence[Dataset], allowances: Allowances) -> Iterator[Mistake]:
    """Yield why a stream cannot be traded against."""
    books = [dataset for dataset in group if dataset.meta.content is not Content.TRADES]
    meta = (books or group)[0].meta
    name = meta.instrument.id
    if not books:
        yield Mistake(name, "the tape has only trade prints of it", "record or import its book or quotes as well")
        return
    if meta.content is Content.BARS and not allowances.bars:
        yield Mistake(
            name,
            "the tape has only bars of it: two trades at unknown moments inside a minute are no prices to trade at",
            "import quotes or books; or look anyway: --i-know-bars-are-not-executable --assume-qty QTY",
        )
    if meta.content in (Content.BARS, Content.UNSIZED_QUOTES) and not allowances.assume_qty:
        yield Mistake(name, "nobody recorded how much could be traded", "say how much to pretend: --assume-qty QTY")
    if meta.market is not Market.SPOT and not allowances.derivatives:
        size = f", one contract being {meta.contract_size}" if meta.contract_size else ""
        yield Mistake(
            name,
            f"is not spot but {meta.market.value}{size}: its difference to a spot price is basis, not an arb",
            "leave it out of run.symbols; or look anyway as if it were spot: --derivatives-as-spot",
        )


def _warnings(group: Sequence[Dataset], allowances: Allowances) -> Iterator[str]:
    """Yield what was overridden."""
    meta = group[0].meta
    name = meta.instrument.id
    if meta.content is Content.BARS:
        yield f"{name}: bars are not executable; filled one tick around the close, at the end of each bar"
    if meta.content in (Content.BARS, Content.UNSIZED_QUOTES):
        yield f"{name}: no sizes were recorded; {allowances.assume_qty} {meta.instrument.base} assumed at each quote"
    if meta.market is not Market.SPOT:
        yield f"{name}: {meta.market.value}, treated as spot without funding or margin"


def _missing(
    settings: Settings,
    players: Mapping[str, object],
    usable: Sequence[Dataset],
    found: Sequence[Dataset],
    paths: Sequence[Path],
) -> Iterator[Mistake]:
    """Yield each venue of the config that nobody plays."""
    there = {dataset.venue for dataset in usable}
    offered = ", ".join(sorted({f"{dataset.symbol} at {dataset.venue}" for dataset in found})[:12]) or "nothing"
    for name, config in players.items():
        if name not in there:
            symbols = ", ".join(getattr(config, "symbols", ()))
            yield Mistake(
                f"venues.{getattr(config, 'venue', name)}",
                f"{', '.join(map(str, paths))} has no {symbols} of {name}; it has {offered}",
                "choose with --symbol, name who plays whom with --map ours=recorded, or give another tape",
            )
    if len(settings.venues) < 2:
        yield Mistake("venues", "one venue alone has no arbs", "configure two or more")


def _key(datasets: Sequence[Dataset]) -> str:
    """Return a digest of which files these are, by name and size."""
    digest = hashlib.sha256()
    for dataset in datasets:
        for part in dataset.parts:
            digest.update(f"{dataset.venue} {dataset.symbol} {part.path.name} {part.bytes} {part.rows}\n".encode())
    return digest.hexdigest()
