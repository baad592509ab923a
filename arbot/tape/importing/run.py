"""Import files of a foreign format into a catalogue: all of them, or nothing.

The files are read twice: once to learn what a series is (survey.py), once to write it (lanes.py). Rows are written into a
staging folder inside the catalogue and moved to their places after the last file was read without a refusal; what was
moved is moved back if a later move fails. A dataset that is there already is never touched.

For every file the rows kept and the rows dropped come to the rows read, or the import breaks off.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from arbot.domain.errors import Mistake, ensure
from arbot.domain.ids import Asset, VenueId, instrument_id
from arbot.domain.instrument import Instrument
from arbot.tape.catalogue import SUFFIX
from arbot.tape.importing.contract import (
    BarBatch,
    FileReport,
    Finding,
    Format,
    ImportReport,
    Options,
    Refused,
    Severity,
    Source,
)
from arbot.tape.importing.lanes import BarLane, BarSink, BookLane, Lane, RowSink, findings_of
from arbot.tape.importing.survey import Survey, check, options_checked, scale_of
from arbot.tape.importing.tally import utc
from arbot.tape.importing.times import DAY_NS
from arbot.tape.schema import Content, Market, TapeMeta, slug
from arbot.tape.writer import BarsWriter, TapeWriter, part_name

IMPORTS = "imports"
_EXCEL_ROWS = frozenset({65_535, 65_536, 1_048_575, 1_048_576})  # with and without the header


class Step(NamedTuple):
    """How far an import is; `rows` of the files were read in both looks together."""

    doing: str
    bytes_done: int
    bytes_total: int
    rows: int


Progress = Callable[[Step], None]
OpenSink = Callable[[Path, TapeMeta], Any]
"""Returns a RowSink, or for bars a BarSink, that writes below a folder."""

SeriesId = tuple[str, str]


class _Look:
    """One reading of all files: the second starts anew, with readers that know nothing of the first."""

    def __init__(self, name: str, files: list[Path], base: int, progress: Progress) -> None:
        self.name = name
        self.sizes = {path: path.stat().st_size for path in files}
        self.total = 2 * sum(self.sizes.values())
        self.shared: dict[str, Any] = {}
        self.rows = 0
        self._done = base
        self._progress = progress

    def source(self, path: Path, options: Options) -> Source:
        """Return a file to be read."""
        return Source(path, options, lambda at: self._tell(path, at), self.shared)

    def finish(self, source: Source) -> None:
        """Note that a file was read to its end."""
        self.rows += source.rows_read
        self._done += self.sizes[source.path]
        self._tell(source.path, 0)

    def _tell(self, path: Path, at: int) -> None:
        self._progress(Step(f"{self.name} {path.name}", self._done + at, self.total, self.rows))


def import_files(  # noqa: PLR0917 - the last two have defaults
    format: Format,  # noqa: A002 - the word of the command line
    paths: list[Path],
    out: Path,
    options: Options,
    progress: Progress = lambda _step: None,
    open_sink: OpenSink | None = None,
    *,
    is_dry: bool = False,
) -> ImportReport:
    """Read files into the catalogue `out` and return what was read, kept, dropped and found.

    Files that were imported before in full are left alone. A dry run reads everything and writes nothing.
    Raises: Refused for what cannot be imported as it stands; the catalogue is then as it was.
    """
    options_checked(options)
    files = expand(format, paths)
    digests = {path: _sha256(path) for path in files}
    surveys = _survey(format, files, options, progress)
    if not is_dry and (earlier := _earlier(format, surveys, digests.values(), out)) is not None:
        return earlier
    first = _Look("reading", files, sum(path.stat().st_size for path in files), progress)
    if is_dry:
        return _read(format, options, first, surveys, digests, lambda _meta: _Nothing())
    with _staging(out) as (staging, number):
        sink = open_sink or _tape_sink
        report = _read(format, options, first, surveys, digests, lambda meta: sink(staging / "data", meta))
        _publish(staging, out, number, report)
    return report


def expand(format: Format, paths: list[Path]) -> list[Path]:  # noqa: A002 - the word of the command line
    """Return the files to read, in order; a folder is searched with the patterns of the format. Raises: Refused."""
    found: list[Path] = []
    mistakes: list[Mistake] = []
    for path in paths:
        if path.is_dir():
            inside = {file for pattern in format.files for file in path.rglob(pattern) if file.is_file()}
            found += sorted(inside)
            if not inside:
                wanted = ", ".join(format.files)
                mistakes.append(Mistake(str(path), f"no file here is named like {wanted}", "name the files themselves"))
        elif path.is_file():
            found.append(path)
        else:
            mistakes.append(Mistake(str(path), "no such file", "check the path"))
    if not paths:
        mistakes.append(Mistake("PATHS", "nothing to import", "name files or folders"))
    if mistakes:
        raise Refused(*mistakes)
    return format.ordered(list(dict.fromkeys(found)))


def _survey(format: Format, files: list[Path], options: Options, progress: Progress) -> dict[SeriesId, Survey]:  # noqa: A002
    """Take the first look, and refuse what cannot be written."""
    look = _Look("looking at", files, 0, progress)
    surveys: dict[SeriesId, Survey] = {}
    wrong: list[Mistake] = []
    for path in files:
        source = look.source(path, options)
        for batch in format.read(source):
            known = surveys.setdefault((batch.series.venue, batch.series.symbol), Survey(batch))
            if known.series != batch.series:
                what = f"{known.name} is {known.series.native} ({known.series.market}) and {batch.series.native} in one import"
                raise Refused(Mistake(str(path), what, "import each into a folder of its own, or with its own --venue"))
            known.take(batch, source)
        look.finish(source)
        errors = (finding for finding in source.findings if finding.severity == Severity.ERROR)
        wrong += [Mistake(str(path), finding.detail, finding.remedy) for finding in errors]
    if not any(survey.rows > survey.signs for survey in surveys.values()):
        raise Refused(
            Mistake(
                ", ".join(path.name for path in files), "no row could be used", "check that the format is the right one"
            ),
            *wrong,
        )
    for survey in surveys.values():
        check(survey, format)
    return surveys


def _read(  # noqa: PLR0917 - the parts of one import
    format: Format,  # noqa: A002 - the word of the command line
    options: Options,
    look: _Look,
    surveys: dict[SeriesId, Survey],
    digests: dict[Path, str],
    open_sink: Callable[[TapeMeta], Any],
) -> ImportReport:
    """Take the second look: write every row through the lane of its series, and say what was found."""
    lanes = {key: _lane(format, survey, options, open_sink) for key, survey in surveys.items() if survey.rows}
    reports: list[FileReport] = []
    findings: list[Finding] = []
    for path, digest in digests.items():
        source = look.source(path, options)
        kept = 0
        for batch in format.read(source):
            lane = lanes.get((batch.series.venue, batch.series.symbol))
            if lane is None:
                continue
            if isinstance(batch, BarBatch):
                ensure(isinstance(lane, BarLane), "bars in the lane of a book", file=str(path))
            kept += lane.take(batch, source)  # type: ignore[arg-type]
        look.finish(source)
        dropped = sum(source.dropped.values())
        ensure(
            kept + dropped == source.rows_read,
            "rows are lost",
            file=str(path),
            read=source.rows_read,
            kept=kept,
            dropped=source.dropped,
        )
        findings += [*source.findings, *_round_number(source)]
        size = path.stat().st_size
        reports.append(
            FileReport(
                file=str(path),
                sha256=digest,
                bytes=size,
                rows_read=source.rows_read,
                rows_kept=kept,
                dropped=source.dropped,
            )
        )
    for lane in lanes.values():
        lane.close()
        said = {(finding.code, finding.series) for finding in findings}  # by the reader, who knows better why
        findings += [finding for finding in findings_of(lane) if (finding.code, finding.series) not in said]
    series = tuple(sorted(lane.survey.name for lane in lanes.values()))
    return ImportReport(format=format.name, files=tuple(reports), series=series, findings=_merged(findings))


def _merged(findings: list[Finding]) -> tuple[Finding, ...]:
    """Return the findings, those that say the same of a series in several files as one."""
    merged: dict[tuple[str, str, str], Finding] = {}
    for finding in findings:
        key = (finding.code, finding.series, finding.detail)
        known = merged.get(key)
        merged[key] = finding if known is None else msgspec.structs.replace(known, count=known.count + finding.count)
    return tuple(merged.values())


def _lane(format: Format, survey: Survey, options: Options, open_sink: Callable[[TapeMeta], Any]) -> Lane:  # noqa: A002
    price = scale_of(survey.price, options.tick, "--tick", survey)
    qty = scale_of(survey.qty, options.step, "--step", survey)
    series = survey.series
    base, quote = series.symbol.partition(":")[0].split("/")
    meta = TapeMeta(
        instrument=Instrument(
            id=instrument_id(series.symbol, series.venue),
            venue=VenueId(series.venue),
            symbol=series.symbol,
            venue_symbol=series.native,
            base=Asset(base),
            quote=Asset(quote),
            tick_size=price.unit,
            qty_step=qty.unit,
            price_decimals=price.decimals,
            qty_decimals=qty.decimals,
        ),
        content=survey.content,
        tick=Decimal(1).scaleb(-price.decimals),
        step=Decimal(1).scaleb(-qty.decimals),
        market=series.market,
        contract_size="" if series.market == Market.SPOT else series.contract_size,
        clocks=survey.clocks,
        depth=survey.depth,
        bar_ns=survey.bar_ns,
        source=format.name,
        venue_symbol=series.native,
    )
    if survey.content == Content.BARS:
        bars: BarSink = open_sink(meta)
        return BarLane(survey, price, qty, bars)
    rows: RowSink = open_sink(meta)
    return BookLane(survey, price, qty, rows, is_lifted=format.is_in_order_received)


def _round_number(source: Source) -> Iterator[Finding]:
    """Say that a file may have been cut at a limit of rows."""
    rows = source.rows_read
    if rows in _EXCEL_ROWS or (rows >= 1000 and not str(rows)[1:].strip("0")):
        yield Finding(
            code="truncated",
            severity=Severity.WARN,
            series="",
            detail=f"the file has {rows} rows, a round number: a download may have been cut at a limit",
            file=str(source.path),
            count=rows,
            remedy="ask the source for the rows after the last one",
        )


def _earlier(format: Format, surveys: dict[SeriesId, Survey], digests: Iterable[str], out: Path) -> ImportReport | None:  # noqa: A002
    """Return the report of nothing done if all was imported before, None if nothing was. Raises: Refused in between."""
    there = [
        folder
        for survey in surveys.values()
        for day in sorted(survey.days)
        if survey.rows and _parts_in(folder := _dataset(survey, day, out), survey.content)
    ]
    if not there:
        return None
    before = [
        msgspec.json.decode(path.read_bytes(), type=ImportReport) for path in sorted((out / IMPORTS).glob("*.json"))
    ]
    known = {
        (report.format, series, file.sha256) for report in before for file in report.files for series in report.series
    }
    names = {survey.name for survey in surveys.values() if survey.rows}
    if all((format.name, name, digest) in known for name in names for digest in digests):
        detail = f"all files were imported before, into {there[0]} and {len(there) - 1} more; nothing was done"
        return ImportReport(
            format=format.name,
            files=(),
            series=tuple(sorted(names)),
            findings=(Finding(code="already_imported", severity=Severity.INFO, series="", detail=detail),),
        )
    raise Refused(
        *(
            Mistake(
                str(folder),
                "this day is in the catalogue already, from other files",
                "name another --out, or remove the folder",
            )
            for folder in there[:10]
        )
    )


def _dataset(survey: Survey, day: int, out: Path) -> Path:
    """Return the folder of a day of a series."""
    return out / survey.series.venue / slug(survey.series.symbol) / f"{utc(day * DAY_NS):%Y-%m-%d}"


def _parts_in(folder: Path, content: Content) -> list[Path]:
    """Return the parts of one content in a folder; a day may have others beside them."""
    digits = len(part_name(Content.BOOK, 0)) - len(SUFFIX)
    return [path for path in folder.glob(f"*{SUFFIX}") if path.name[digits:] == part_name(content, 0)[digits:]]


@contextmanager
def _staging(out: Path) -> Iterator[tuple[Path, int]]:
    """Give a new folder inside the catalogue, and the number of the import; the folder goes whatever happens."""
    imports = out / IMPORTS
    imports.mkdir(parents=True, exist_ok=True)
    taken = [int(path.stem.lstrip(".")) for path in imports.iterdir() if path.stem.lstrip(".").isdigit()]
    number = max(taken, default=0) + 1
    folder = imports / f".{number:04}"
    folder.mkdir()
    try:
        yield folder, number
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _publish(staging: Path, out: Path, number: int, report: ImportReport) -> None:
    """Move every part to its place and then write the report; on failure move back what was moved."""
    data = staging / "data"
    moved: list[tuple[Path, Path]] = []
    folders: list[Path] = []
    try:
        for made in sorted(data.glob(f"*/*/*/*{SUFFIX}")):
            place = out / made.relative_to(data)
            folders += [
                folder
                for folder in (place.parent.parent.parent, place.parent.parent, place.parent)
                if not folder.exists()
            ]
            place.parent.mkdir(parents=True, exist_ok=True)
            made.rename(place)
            moved.append((made, place))
        written = staging / "report.json"
        written.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
        written.rename(out / IMPORTS / f"{number:04}.json")
    except BaseException:  # the caller is told: it goes on
        for made, place in reversed(moved):
            place.rename(made)
        for folder in reversed(folders):
            folder.rmdir()
        raise


def _tape_sink(root: Path, meta: TapeMeta) -> Any:
    return BarsWriter(root, meta) if meta.content == Content.BARS else TapeWriter(root, meta)


class _Nothing:
    """Where the rows of a dry run go."""

    def append(self, *_columns: Any) -> None:
        """Forget the rows."""

    def close(self) -> None:
        """Do nothing."""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
