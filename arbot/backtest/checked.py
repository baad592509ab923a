"""What the inspector says of the data before anything is replayed on it: errors refuse, warnings go into the report.

An inspection is kept beside the raw columns under the name of what it looked at, so that only the first backtest of a
tape waits for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from arbot import __version__
from arbot.backtest.tapes import TapeStock
from arbot.domain.errors import Mistake, UserError
from arbot.tape.importing.contract import Finding, Severity
from arbot.tape.inspect.groups import grouped, names_of

_FINDINGS = msgspec.json.Decoder(tuple[Finding, ...])
CODES_SHOWN_MAX = 20
BARS = " bars"  # behind the name of a market whose bars are meant
OF_COMPARISONS = "quote_currency"  # between books of unlike quotes, which the engine never trades against one another
NAMES_SHOWN = 12
_GO_ON = "or go on in spite of it with --despite-errors"


def warned(
    stock: TapeStock, paths: Sequence[Path], *, cache_dir: Path | None, is_wanted: bool, goes_on: bool
) -> tuple[str, ...]:
    """Return the errors and warnings about the streams of a stock, in words.

    Raises: UserError naming the errors, unless the person wants to go on in spite of them.
    """
    if not is_wanted:
        return ("the data was not inspected (--no-inspect)",)
    findings = _kept(stock, paths, cache_dir)
    if stock.allowances.repair:  # what is left out is counted while replaying
        findings = tuple(finding for finding in findings if finding.code != "damaged")
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if errors and not goes_on:
        raise UserError(*_mistakes(errors))
    return tuple(
        f"{'error ' if group.severity is Severity.ERROR else ''}{group.code}, {names_of(said, NAMES_SHOWN)}: {said.detail}"
        for group in grouped(findings)
        if group.severity is not Severity.INFO
        for said in group.said
    )


def _mistakes(errors: Sequence[Finding]) -> list[Mistake]:
    """Return one mistake for each thing that is wrong, whatever number of series it is wrong with."""
    said = [
        (names_of(said, NAMES_SHOWN), group.code, said.detail, group.remedy)
        for group in grouped(error for error in errors if error.series)
        for said in group.said
    ]
    said += [(error.file, error.code, error.detail, error.remedy) for error in errors if not error.series]
    return [
        Mistake(where, f"{code}: {detail}", "; ".join(filter(None, (remedy, _GO_ON))))
        for where, code, detail, remedy in said[:CODES_SHOWN_MAX]
    ]


def _kept(stock: TapeStock, paths: Sequence[Path], cache_dir: Path | None) -> tuple[Finding, ...]:
    file = None if cache_dir is None else cache_dir / f"inspection-{_digest(stock)}.json"
    if file is not None and file.is_file():
        return _FINDINGS.decode(file.read_bytes())
    findings = _inspected(stock, paths)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(msgspec.json.encode(findings))
    return findings


def _digest(stock: TapeStock) -> str:
    """Return what names an inspection: other files, later ones and another version of ours make another one."""
    files = [(str(part.path), part.bytes, part.mtime_ns) for dataset in stock.datasets for part in dataset.parts]
    return hashlib.sha256(msgspec.json.encode([__version__, files])).hexdigest()[:16]


def _inspected(stock: TapeStock, paths: Sequence[Path]) -> tuple[Finding, ...]:
    """Return what is wrong with the streams that are replayed, with their bases, and with whole files."""
    from arbot.tape.inspect.load import load  # noqa: PLC0415 - scipy and more, and only for the first look at a tape
    from arbot.tape.inspect.report import Options, inspect  # noqa: PLC0415

    played = {dataset.meta.instrument.id for dataset in stock.datasets}
    loaded = load([path.resolve() for path in paths])
    kinds = {(dataset.meta.instrument.id, dataset.meta.content) for dataset in stock.datasets}
    datasets = [one for one in loaded.datasets if (one.meta.instrument.id, one.meta.content) in kinds]
    findings = inspect(datasets, loaded.imports, Options(), damage=loaded.damage).inspection.findings
    names = played | {dataset.meta.instrument.base for dataset in datasets}
    return tuple(
        finding
        for finding in findings
        if finding.code != OF_COMPARISONS
        and all(name.removesuffix(BARS) in names for name in finding.series.split("|") if finding.series)
    )
