"""Tapes on disk: whole or not there, checked when read, refused or repaired with a count when damaged."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arbot.domain.errors import InvariantBroken, UserError
from arbot.market.stream import IS_LAST, KIND_MASK, Kind
from arbot.tape.cache import cached
from arbot.tape.catalogue import Catalogue, day_of, open_tapes, read_part_footer
from arbot.tape.merge import merged, merged_with_seq, streams
from arbot.tape.reader import Repairs, read_bars, read_part
from arbot.tape.schema import META_KEY, Content, encode_meta
from arbot.tape.writer import BOOK_COLUMNS, BarsWriter, TapeWriter, compact
from tests.support.tapes import START, a_few, a_meta, as_rows, equal, message, together, written

HOUR_NS = 3_600_000_000_000


def test_catalogue_tells_what_is_there(tmp_path):
    """Venue, symbol, day, rows and times come from the footers; filters and a single file work as well as a folder."""
    written(tmp_path, a_few(30, HOUR_NS))
    written(tmp_path, a_few(3), a_meta("coinbase"))
    found = Catalogue(tmp_path).datasets()
    assert [("coinbase", "2026-01-05"), ("kraken", "2026-01-05"), ("kraken", "2026-01-06")] == [
        (one.venue, one.day) for one in found
    ]
    assert {"BTC/USD"} == {one.symbol for one in found}
    assert sum(map(len, a_few(30, HOUR_NS))) == found[1].rows + found[2].rows
    assert (START, START + 29 * HOUR_NS) == (found[1].first_ts_ns, found[2].last_ts_ns)
    assert 1 == len(Catalogue(tmp_path).datasets(venues=["kraken"], first_day="2026-01-06"))
    assert 2 == len(open_tapes([tmp_path / "kraken"]))
    part = found[0].parts[0].path
    assert [part] == [
        one.path for dataset in open_tapes([part, tmp_path / "coinbase" / "BTC-USD"]) for one in dataset.parts
    ]


def test_parts_rotate_by_time_rows_and_day(tmp_path):
    """A part ends after so much time, so many rows, and at midnight, but never between rows of one time."""
    assert 5 == len(written(tmp_path / "time", a_few(10), rotate_s=2))
    assert ["2026-01-05", "2026-01-06"] == [
        path.parent.name for path in written(tmp_path / "day", a_few(30, HOUR_NS), rotate_s=1e9)
    ]
    same = [message(START, Kind.TRADE, (5, 5)) for _ in range(9)] + [message(START + 1, Kind.TRADE, (5, 5))]
    assert [9, 1] == [read_part_footer(path).rows for path in written(tmp_path / "rows", same, rows_max=2)]


def test_finished_parts_survive_a_killed_writer(tmp_path):
    """What was rotated is readable while the writer still runs; what is open is listed, and never read."""
    writer = TapeWriter(tmp_path, a_meta(), rotate_s=2)
    writer.append_rows(as_rows(a_few(5)))
    whole = Catalogue(tmp_path).datasets()
    assert 4 == len([part for dataset in whole for part in dataset.parts]) * 2
    left = writer.paths[0].with_name(".0000000000000000001.parquet.open")
    left.write_bytes(b"half")
    assert (left,) == Catalogue(tmp_path).left_open()
    assert equal(as_rows(a_few(4)), together(merged(whole)))


@pytest.mark.parametrize(
    "messages",
    [
        [message(START, Kind.TRADE, (5, 5)), message(START - 1, Kind.TRADE, (5, 5))],
        [message(START, Kind.TRADE, (5, 10**18))],
        [message(START, Kind.TRADE, (10**18, 5))],
        [message(START, Kind.TRADE, (5, -1))],
        [message(START, 9, (5, 5))],
        [message(START, Kind.TRADE, (5, 5), (6, 6))[:1]],
    ],
)
def test_writer_takes_nothing_that_cannot_be_read(tmp_path, messages):
    """Time going back, numbers out of range, unknown kinds and half messages are bugs of the caller."""
    with pytest.raises(InvariantBroken), TapeWriter(tmp_path, a_meta()) as writer:
        writer.append_rows(as_rows(messages))
    assert [] == list(tmp_path.rglob("*.parquet"))


def test_second_recording_of_the_same_time_is_refused(tmp_path):
    """A part is never overwritten, and two recordings that overlap are not merged."""
    written(tmp_path, a_few())
    with pytest.raises(UserError, match="is there already"):
        written(tmp_path, a_few())
    written(tmp_path, a_few(start=START + 5))
    with pytest.raises(UserError, match=r"begins before .* ends"):
        open_tapes([tmp_path])


def raw_part(path, rows, meta=None, *, told=None, compression="zstd"):
    """Write rows as a part without any check, in row groups of four rows."""
    columns = list(zip(*rows, strict=True))
    schema = BOOK_COLUMNS.with_metadata({META_KEY: encode_meta(meta or a_meta())} if told is None else told)
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )
    pq.write_table(
        table, path, row_group_size=4, compression=compression, write_page_checksum=True, use_dictionary=False
    )
    return path


def good_rows():
    """Return a snapshot of two rows, four messages of one delta, and a snapshot again: (recv, venue, seq, kind ...)."""
    rows = [(START, 0, 0, 1, False, 1, 100, 5), (START, 0, 0, 1, True, -1, 101, 5)]
    rows += [(START + number, 0, 0, 2, True, 1, 100, number) for number in range(1, 5)]
    return [*rows, (START + 9, 0, 0, 1, False, 1, 100, 5), (START + 9, 0, 0, 1, True, -1, 101, 5)]


BAD_ROWS = {
    "its time is before": (3, {0: START - 5}),
    "its kind is unknown": (3, {3: 19}),
    "its side is none": (3, {5: 0}),
    "its price is none": (3, {6: 0}),
    "its quantity is none": (3, {7: -1}),
    "its venue's time": (3, {1: -1}),
    "has no end": (3, {4: False}),
}


@pytest.mark.parametrize("words", BAD_ROWS)
def test_bad_row_in_the_middle_is_refused_or_counted(tmp_path, words):
    """The mistake names file and row; repaired, its message is left out, counted, and the book is cleared."""
    rows = good_rows()
    at, changes = BAD_ROWS[words]
    rows[at] = tuple(changes.get(column, value) for column, value in enumerate(rows[at]))
    path = raw_part(tmp_path / "bad.parquet", rows)
    number = at + 1 + (words == "has no end")
    with pytest.raises(UserError, match=f"bad.parquet row group {(number - 1) // 4} row {number}: .*{words}"):
        list(merged(open_tapes([path])))
    repairs = Repairs()
    kept = together(merged(open_tapes([path]), repairs=repairs))
    assert 1 == repairs.total
    assert words in next(iter(repairs.rows))
    kinds = [Kind(kind) for kind in (kept.tag & KIND_MASK).tolist()]
    assert [1, 1, 2, Kind.CLEAR, 2, 2, 1, 1] == kinds
    assert (np.diff(kept.recv_ts_ns) >= 0).all()
    assert 0 == kept.key[3] == kept.qty[3]


def test_size_of_zero_is_for_quotes_whose_size_nobody_knows(tmp_path):
    """In a snapshot a quantity of 0 is damage, and in unsized quotes it is what there is."""
    rows = [(START, 0, 0, 1, False, 1, 100, 0), (START, 0, 0, 1, True, -1, 101, 0)]
    with pytest.raises(UserError, match="quantity"):
        list(merged(open_tapes([raw_part(tmp_path / "book.parquet", rows)])))
    quotes = raw_part(tmp_path / "quotes.parquet", rows, a_meta(content=Content.UNSIZED_QUOTES))
    assert [0, 0] == together(merged(open_tapes([quotes]))).qty.tolist()


def test_bad_print_leaves_the_book_alone(tmp_path):
    """A trade print with a bad quantity is left out and clears nothing."""
    rows = good_rows()
    rows[3] = (START + 2, 0, 0, 3, True, 1, 100, 0)
    repairs = Repairs()
    kept = together(merged(open_tapes([raw_part(tmp_path / "p.parquet", rows)]), repairs=repairs))
    assert [1, 1, 2, 2, 2, 1, 1] == (kept.tag & KIND_MASK).tolist()
    assert 1 == repairs.total


def test_print_of_nobody_may_have_no_size(tmp_path):
    """Of some prints only the price is known: neither a side nor a quantity is then what there is, among clean rows and others."""
    rows = good_rows()
    rows[3] = (START + 2, 0, 0, 3, True, 0, 100, 0)
    kept = together(merged(open_tapes([raw_part(tmp_path / "p.parquet", rows)])))
    assert len(rows) == len(kept)
    rows[4] = (*rows[4][:6], 0, rows[4][7])  # a price of 0 elsewhere: rows are then checked one by one
    repairs = Repairs()
    list(merged(open_tapes([raw_part(tmp_path / "q.parquet", rows)]), repairs=repairs))
    assert not any("quantity" in reason for reason in repairs.rows)


def test_flipped_bit_is_refused_or_its_row_group_counted(tmp_path):
    """Page checksums find what decodes all the same; repaired, the row group is left out and the book cleared."""
    path = raw_part(tmp_path / "bit.parquet", good_rows(), compression="none")
    column = pq.read_metadata(path).row_group(1).column(7)
    whole = bytearray(path.read_bytes())
    whole[column.data_page_offset + column.total_compressed_size - 2] ^= 4
    path.write_bytes(whole)
    with pytest.raises(UserError, match="row group 1: cannot be read"):
        list(merged(open_tapes([path])))
    repairs = Repairs()
    kept = together(merged(open_tapes([path]), repairs=repairs))
    assert {"unreadable": 4} == repairs.rows
    assert [1, 1, 2, 2, Kind.CLEAR] == (kept.tag & KIND_MASK).tolist()


def test_truncated_file_is_refused_by_name_or_left_out(tmp_path):
    """A file without its footer is named with every other one that is damaged; told to, the rest is used."""
    good, bad = written(tmp_path, a_few(4), rotate_s=2)
    bad.write_bytes(bad.read_bytes()[:-20])
    with pytest.raises(UserError, match=f"{bad.name}: cannot be read as Parquet"):
        open_tapes([tmp_path])
    damaged = {}
    left = open_tapes([tmp_path], damaged)
    assert [bad] == list(damaged)
    assert [good] == [part.path for dataset in left for part in dataset.parts]


def test_book_is_cleared_where_a_part_was_left_out(tmp_path):
    """After a damaged part the next one's changes would be put onto a book that lacks some: it is dropped."""
    first, bad, last = written(tmp_path / "tape", a_few(9), rotate_s=3)
    bad.write_bytes(b"PAR1")
    left = open_tapes([tmp_path / "tape"], {})
    rows = together(merged(left))
    sizes = [read_part_footer(path).rows for path in (first, last)]
    assert sizes[0] + 1 + sizes[1] == len(rows)
    assert (Kind.CLEAR | IS_LAST, START + 2_000_000_000) == (rows.tag[sizes[0]], rows.recv_ts_ns[sizes[0]])
    assert cached(left, tmp_path / "cache", build=True) is None


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({}, "is Parquet, but not a tape"),
        ({META_KEY: b"{"}, "says nothing we understand"),
        ({META_KEY: encode_meta(msgspec.structs.replace(a_meta(), format=99))}, "is of format 99"),
    ],
)
def test_what_is_not_a_tape_is_refused(tmp_path, told, words):
    """Foreign Parquet, broken metadata and formats of the future are named with a remedy."""
    path = raw_part(tmp_path / "other.parquet", good_rows(), told=told)
    with pytest.raises(UserError, match=f"other.parquet: {words}"):
        open_tapes([path])


def test_folders_without_tapes_are_refused(tmp_path):
    """An empty folder and one that is not there are both the user's mistakes, told together."""
    with pytest.raises(UserError) as caught:
        open_tapes([tmp_path, tmp_path / "nowhere"])
    assert ["has no tape in it", "does not exist"] == [mistake.what for mistake in caught.value.mistakes]


def test_parts_that_describe_another_instrument_do_not_mix(tmp_path):
    """Parts of one day that disagree about their instrument are refused; another run or status is no disagreement."""
    written(tmp_path, a_few(2), a_meta(run_id="1"))
    written(tmp_path, a_few(2, start=START + HOUR_NS), a_meta(run_id="2"))
    assert 2 == len(open_tapes([tmp_path])[0].parts)
    written(tmp_path, a_few(2, start=START + 2 * HOUR_NS), a_meta(depth=5))
    with pytest.raises(UserError, match="describes its instrument otherwise"):
        open_tapes([tmp_path])


def test_prints_recorded_apart_share_the_book_of_their_instrument(tmp_path):
    """Book and trades of one instrument are one stream; a stream has several days; bars are none."""
    written(tmp_path, a_few(30, HOUR_NS))
    written(tmp_path, [message(START + 1, Kind.TRADE, (5, 5))], a_meta(content=Content.TRADES))
    written(tmp_path, a_few(2, start=START + 2), a_meta("venue3"))
    found = streams(open_tapes([tmp_path]))
    assert [("kraken", 3), ("venue3", 1)] == [(one.instrument.venue, len(one.datasets)) for one in found]
    rows = together(merged(open_tapes([tmp_path])))
    assert [0, 0, 0, 0, 1] == (rows.tag >> 8).tolist()[:5]
    assert [START, START, START, START + 1, START + 2] == rows.recv_ts_ns.tolist()[:5]


def test_merge_keeps_to_the_times_asked_for(tmp_path):
    """Rows before the first and after the last time are not given; both ends belong to the span."""
    written(tmp_path, a_few(20), rotate_s=3)
    first, last = START + 4_000_000_000, START + 9_000_000_000
    rows = together(merged(open_tapes([tmp_path]), first_ts_ns=first, last_ts_ns=last))
    assert sorted({first + n * 1_000_000_000 for n in range(6)}) == sorted(set(rows.recv_ts_ns.tolist()))


def test_messages_longer_than_chunk_and_batch_stay_whole(tmp_path):
    """A snapshot of thousands of levels comes in one piece through the smallest chunks and batches."""
    deep = [message(START, Kind.SNAPSHOT, *[(key, 1) for key in range(1, 9_000)]), *a_few(3, start=START + 1)[1:]]
    written(tmp_path, deep)
    written(tmp_path, a_few(3), a_meta("venue3"))
    datasets = open_tapes([tmp_path])
    chunks = list(merged(datasets, chunk_rows=16))
    assert all(chunk.tag[-1] & IS_LAST for chunk in chunks)
    alone = together(read_part(datasets[0].parts[0], batch_rows=100))
    assert equal(as_rows(deep), alone)
    assert sum(map(len, deep)) + sum(map(len, a_few(3))) == sum(map(len, chunks))


def test_decoding_ahead_changes_nothing(tmp_path):
    """Threads give the same rows, and the same mistakes."""
    for venue in ("kraken", "venue3"):
        written(tmp_path, a_few(50), a_meta(venue), rotate_s=10)
    datasets = open_tapes([tmp_path])
    assert equal(together(merged(datasets)), together(merged(datasets, threads=2)))
    path = raw_part(tmp_path / "bad.parquet", [*good_rows(), (1, 0, 0, 2, True, 1, 5, 5)], a_meta("venue4"))
    with pytest.raises(UserError, match="its time is before"):
        list(merged(open_tapes([path]), threads=1))


def test_journal_numbers_come_beside_the_rows(tmp_path):
    """The number of the journal event before a row is given when asked for."""
    rows = as_rows(a_few(6))
    with TapeWriter(tmp_path, a_meta()) as writer:
        writer.append_rows(rows, np.arange(len(rows)))
    chunks = list(merged_with_seq(open_tapes([tmp_path]), chunk_rows=5))
    assert list(range(len(rows))) == np.concatenate([seq for _, seq in chunks]).tolist()
    assert equal(rows, together([rows for rows, _ in chunks]))


def test_compacting_survives_being_killed(tmp_path):
    """Between its rename and its deletes both old and new parts lie there, and every row is read once."""
    written(tmp_path, a_few(10), rotate_s=2)
    kept = tmp_path / "kept"
    shutil.copytree(tmp_path / "kraken", kept)
    before = open_tapes([tmp_path / "kraken"])
    whole = compact(before[0])
    assert [whole] == list((tmp_path / "kraken").rglob("*.parquet"))
    for path in kept.rglob("*.parquet"):
        if path.name != whole.name:
            shutil.copy(path, whole.parent)  # the deletes never happened
    (dataset,) = open_tapes([tmp_path / "kraken"])
    assert [whole] == [part.path for part in dataset.parts]
    assert equal(as_rows(a_few(10)), together(merged([dataset])))
    assert whole == compact(dataset)
    assert [whole] == list((tmp_path / "kraken").rglob("*.parquet"))


def a_cache(tmp_path):
    written(tmp_path / "tape", a_few(40))
    return open_tapes([tmp_path / "tape"]), tmp_path / "cache"


def test_cache_is_made_once_and_known_by_its_tapes(tmp_path):
    """Without leave to build there is none; another order or a changed file is another entry."""
    datasets, folder = a_cache(tmp_path)
    assert cached(datasets, folder, build=False) is None
    told = []
    assert equal(as_rows(a_few(40)), cached(datasets, folder, build=True, progress=told.append).rows)
    assert [len(as_rows(a_few(40)))] == told
    assert cached(datasets, folder, build=False) is not None
    os.utime(datasets[0].parts[0].path, ns=(1, 1))
    assert cached(open_tapes([tmp_path / "tape"]), folder, build=False) is None


@pytest.mark.parametrize("damage", ["short", "gone", "torn", "about"])
def test_damaged_cache_is_made_again(tmp_path, damage):
    """A short, missing or torn column, or a broken description, is never used."""
    datasets, folder = a_cache(tmp_path)
    cached(datasets, folder, build=True)
    (entry,) = folder.iterdir()
    column = entry / "key.npy"
    whole = column.read_bytes()
    if damage == "short":
        column.write_bytes(whole[:-8])
    elif damage == "gone":
        column.unlink()
    elif damage == "torn":
        column.write_bytes(whole[:-16] + b"torn" * 4)
    else:
        (entry / "about.json").write_text("{")
    assert cached(datasets, folder, build=False) is None
    assert equal(as_rows(a_few(40)), cached(datasets, folder, build=True).rows)


def test_cache_forgets_what_was_not_used_longest(tmp_path):
    """The least recently used entry goes when there is no room, and what is too large is not kept at all."""
    folder = tmp_path / "cache"
    entries = []
    for number in range(3):
        written(tmp_path / str(number), a_few(40 + number))
        datasets = open_tapes([tmp_path / str(number)])
        assert cached(datasets, folder, build=True, bytes_max=6_000) is not None
        entries.append(datasets)
        for age, path in enumerate(sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)):
            os.utime(path, ns=(age + 1, age + 1))
    assert [False, True, True] == [cached(one, folder, build=False) is not None for one in entries]
    assert cached(entries[0], folder, build=True, bytes_max=100) is None


def test_what_a_killed_process_left_of_a_cache_is_swept(tmp_path):
    """A half-made entry that nobody holds is deleted by the next one who makes one."""
    datasets, folder = a_cache(tmp_path)
    left = folder / ".making-dead"
    left.mkdir(parents=True)
    (left / ".lock").touch()
    cached(datasets, folder, build=True)
    assert not left.exists()


def test_bars_are_written_by_day_and_checked(tmp_path):
    """Bars come back as they went in; what is no bar, or not later, is refused."""
    meta = a_meta(content=Content.BARS, bar_ns=HOUR_NS)
    start = START + HOUR_NS * np.arange(30)
    prices = [np.full(30, number, np.int64) for number in (5, 7, 4, 6)]
    with BarsWriter(tmp_path, meta) as writer:
        writer.append(start, *prices, np.arange(30))
    datasets = open_tapes([tmp_path])
    assert [24, 6] == [dataset.rows for dataset in datasets]
    assert [day_of(START), day_of(START + 24 * HOUR_NS)] == [dataset.day for dataset in datasets]
    bars = read_bars(datasets[1].parts[0])
    assert (start[24:].tolist(), list(range(24, 30))) == (bars.start_ts_ns.tolist(), bars.volume.tolist())
    assert () == streams(datasets)
    with pytest.raises(InvariantBroken, match="not a bar"), BarsWriter(tmp_path / "other", meta) as writer:
        writer.append(start, prices[1], prices[0], prices[2], prices[3], np.arange(30))


def test_every_file_of_a_catalogue_has_the_right_name(tmp_path):
    """Folders are venue, symbol and day; the name is the time of the first row, and other content says what it is."""
    (book,) = written(tmp_path, a_few(2))
    (trades,) = written(tmp_path, [message(START, Kind.TRADE, (5, 5))], a_meta(content=Content.TRADES))
    assert Path(f"kraken/BTC-USD/2026-01-05/{START}.parquet") == book.relative_to(tmp_path)
    assert f"{START}.trades.parquet" == trades.name
