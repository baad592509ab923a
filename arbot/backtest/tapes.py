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

from arbot.backtest.stock import Listed, plain, played_by
from arbot.domain.errors import Mistake, UserError
from arbot.market.books import scaled
from arbot.market.stream import BOOK_SHIFT, Rows
from arbot.ports import VenueConfig
from arbot.settings.model import Settings
from arbot.tape.bars import as_quotes
from arbot.tape.cache import cached
from arbot.tape.catalogue import Dataset, open_tapes
from arbot.tape.merge import merged, streams
from arbot.tape.reader import Repairs
from arbot.tape.schema import Content, Market

FOR_EVER_NS = 1 << 62
PLACES_SHOWN = 5
_UNSIZED = (Content.BARS, Content.UNSIZED_QUOTES)
_QTY_DECIMALS = 8
_QTY_STEP = Decimal(1).scaleb(-_QTY_DECIMALS)


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
        self.repairs.clear()
        repairs = self.repairs if allowed.repair else None
        if any(dataset.meta.content is Content.BARS for dataset in self.datasets):
            rows = as_quotes(self.datasets, self._assumed(), repairs)
            yield from () if not len(rows) else (rows,)
            return
        uses_cache = self.cache_dir is not None and not allowed.repair  # of damaged tapes there is none
        whole = cached(self.datasets, self.cache_dir, build=True) if self.cache_dir and uses_cache else None
        if whole is not None:
            yield from map(self._sized, _until(whole.chunks(), allowed.last_ts_ns))
        else:  # the disk may have no room for raw columns
            yield from map(self._sized, merged(self.datasets, last_ts_ns=allowed.last_ts_ns, repairs=repairs))

    def repaired(self) -> tuple[str, ...]:
        """Return what was left out as damaged the last time all rows were read, in words."""
        repairs = self.repairs
        if not repairs.total:
            return ()
        told = ", ".join(f"{count:,} {reason}" for reason, count in sorted(repairs.rows.items()))
        places, more = repairs.places[:PLACES_SHOWN], len(repairs.places) - PLACES_SHOWN
        rest = f"; and {more} more places" if more > 0 else ""
        return (f"{repairs.total:,} damaged rows were left out ({told}): {'; '.join(places)}{rest}",)

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
    players = _players(settings, mapping)
    damaged: dict[Path, str] | None = {} if allowances.repair else None
    found = open_tapes(paths, damaged)
    mine = [one for one in found if one.venue in players and plain(one.symbol) in players[one.venue].symbols]
    usable = _preferred(mine)
    for group in _by_instrument(usable):
        config = players[group[0].venue]
        trouble = tuple(_refusals(group, allowances))
        mistakes.extend(trouble)
        if not trouble:
            chosen.extend(group)
            meta = group[0].meta
            played = played_by(meta.instrument, config.venue)
            if meta.content in _UNSIZED:  # nobody wrote a quantity, so its decimals are nobody's either
                played = msgspec.structs.replace(played, qty_decimals=_QTY_DECIMALS, qty_step=_QTY_STEP)
            listed.append(Listed(played, meta.depth))
            warnings.extend(_warnings(group, allowances))
    if len({dataset.meta.content is Content.BARS for dataset in chosen}) > 1:
        mistakes.append(
            Mistake(
                "tapes",
                "bars of one venue against books of another",
                "give books or quotes of both, or a folder with bars only",
            )
        )
    mistakes.extend(_missing(settings, players, usable, found, paths))
    if mistakes:
        raise UserError(*mistakes)
    warnings.extend(_absent(players, usable))
    warnings.extend(f"{file.name} was left out: {what}" for file, what in (damaged or {}).items())
    return TapeStock(
        streams=tuple(listed),
        datasets=tuple(chosen),
        rows=sum(dataset.rows for dataset in chosen),
        key=_key(chosen, listed, allowances),
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


def _players(settings: Settings, mapping: Mapping[str, str]) -> dict[str, VenueConfig]:
    """Return which recorded venue plays which of ours. Raises: UserError when one would play two."""
    players: dict[str, VenueConfig] = {}
    for config in settings.venue_configs():
        name = mapping.get(config.venue, config.venue)
        if name in players:
            raise UserError(
                Mistake(
                    "--map",
                    f"{name} would play both {players[name].venue} and {config.venue}: one book has no edge to itself",
                    "let another recorded venue play one of them",
                )
            )
        players[name] = config
    return players


def _preferred(datasets: Sequence[Dataset]) -> list[Dataset]:
    """Return what is best to trade against where there is a choice: spot before derivatives, books and quotes before bars."""
    best: dict[tuple[str, str], tuple[bool, bool]] = {}

    def kind(one: Dataset) -> tuple[bool, bool]:
        return one.meta.market is not Market.SPOT, one.meta.content is Content.BARS

    for one in datasets:
        if one.meta.content is not Content.TRADES:
            key = (one.venue, plain(one.symbol))
            best[key] = min(best.get(key, kind(one)), kind(one))
    return [one for one in datasets if kind(one) == best.get((one.venue, plain(one.symbol)), kind(one))]


def _by_instrument(datasets: Sequence[Dataset]) -> list[list[Dataset]]:
    """Return the datasets of each instrument, its book first: the order in which tape.merge numbers them."""
    if not datasets:
        return []
    if any(one.meta.content is Content.BARS for one in datasets):
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
    if meta.content in _UNSIZED and not allowances.assume_qty:
        yield Mistake(name, "nobody recorded how much could be traded", "say how much to pretend: --assume-qty QTY")
    if meta.market is Market.INVERSE:
        yield Mistake(
            name,
            f"its sizes are contracts of {meta.contract_size or 'unknown size'}, not {meta.instrument.base}",
            "leave it out of run.symbols, or name a spot venue with --map",
        )
    elif meta.market is Market.UNKNOWN and not meta.contract_size:
        yield Mistake(
            name,
            "nothing says whether it is spot or a derivative, and whether its sizes are contracts",
            "import it again with --market spot, or with --market linear if its sizes are in base",
        )
    elif meta.market is not Market.SPOT and not allowances.derivatives:
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
    if meta.content in _UNSIZED:
        yield f"{name}: no sizes were recorded; {allowances.assume_qty} {meta.instrument.base} assumed at each quote"
    if meta.market is not Market.SPOT:
        yield f"{name}: {meta.market.value}, treated as spot without funding or margin"


def _missing(
    settings: Settings,
    players: Mapping[str, VenueConfig],
    usable: Sequence[Dataset],
    found: Sequence[Dataset],
    paths: Sequence[Path],
) -> Iterator[Mistake]:
    """Yield each venue of the config that nobody plays."""
    there = {dataset.venue for dataset in usable}
    offered = ", ".join(sorted({f"{dataset.symbol} at {dataset.venue}" for dataset in found})[:12]) or "nothing"
    for name, config in players.items():
        if name not in there:
            yield Mistake(
                f"venues.{config.venue}",
                f"{', '.join(map(str, paths))} has no {', '.join(config.symbols)} of {name}; it has {offered}",
                "choose with --symbol, name who plays whom with --map ours=recorded, or give another tape",
            )
    if len(settings.venues) < 2:
        yield Mistake("venues", "one venue alone has no arbs", "configure two or more")


def _absent(players: Mapping[str, VenueConfig], usable: Sequence[Dataset]) -> Iterator[str]:
    """Yield each symbol of the config that a venue of the tape does not have: it is not traded there."""
    there = {(dataset.venue, plain(dataset.symbol)) for dataset in usable}
    for name, config in players.items():
        for symbol in config.symbols:
            if (name, symbol) not in there:
                yield f"{symbol} at {config.venue}: not on the tape, so not traded"


def _key(datasets: Sequence[Dataset], listed: Sequence[Listed], allowances: Allowances) -> str:
    """Return a digest of which files these are, by name and size, of who plays them, and of what was pretended."""
    pretended = (allowances.bars, allowances.derivatives, allowances.repair, allowances.assume_qty)
    digest = hashlib.sha256(f"{[one.instrument.id for one in listed]} {pretended}\n".encode())
    for dataset in datasets:
        for part in dataset.parts:
            digest.update(f"{dataset.venue} {dataset.symbol} {part.path.name} {part.bytes} {part.rows}\n".encode())
    return digest.hexdigest()
