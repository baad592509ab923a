"""What a generated tape promises: books that are exact, the stream it is said to be, and the same one for a seed."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest

from arbot.cli.data_generate import generate as generate_command
from arbot.domain.errors import UserError
from arbot.market import layout
from arbot.market.books import Books
from arbot.market.stream import BOOK_SHIFT, IS_LAST, KIND_MASK, Kind, Rows
from arbot.tape.catalogue import Catalogue
from arbot.tape.generate import Fault, FaultKind, TapeSpec, generate, generate_chunks, generate_rows, metas
from arbot.tape.inspect.quotes import walk_stream
from arbot.tape.inspect.series import series_stats

SPEC = TapeSpec(rows=20_000, seed=7, levels=(50, 100))


def messages(rows):
    """Yield (book, kind, recv_ts_ns, keys, quantities) of each message."""
    ends = np.flatnonzero(rows.tag & IS_LAST) + 1
    for first, stop in zip([0, *ends[:-1]], ends, strict=True):
        tag = int(rows.tag[first])
        yield (
            tag >> BOOK_SHIFT,
            Kind(tag & KIND_MASK),
            int(rows.recv_ts_ns[first]),
            rows.key[first:stop],
            rows.qty[first:stop],
        )


def naive(rows, streams):
    """Yield (book, kind, bids, asks) after each message, kept in dictionaries."""
    books = [({}, {}) for _ in range(streams)]
    for book, kind, _, keys, quantities in messages(rows):
        bids, asks = books[book]
        if kind in {Kind.SNAPSHOT, Kind.CLEAR}:
            bids.clear()
            asks.clear()
        if kind in {Kind.SNAPSHOT, Kind.DELTA}:
            for key, qty in zip(keys.tolist(), quantities.tolist(), strict=True):
                side = bids if key > 0 else asks
                if qty:
                    side[abs(key)] = qty
                else:
                    side.pop(abs(key))  # a delete of a level that is not there fails
        yield book, kind, bids, asks


@pytest.mark.parametrize("spec", [SPEC, TapeSpec(rows=9_000, seed=3, venues=3, symbols=2, levels=(10, 25, 400))])
def test_books_stay_full_and_uncrossed(spec):
    """After every message each book has all its levels on both sides, and its bid is below its ask."""
    rows, made = generate_rows(spec)
    for book, _, bids, asks in naive(rows, len(made)):
        assert (made[book].depth, made[book].depth) == (len(bids), len(asks))
        assert max(bids) < min(asks)
        assert min(bids) > 0


def test_compiled_books_agree_with_dictionaries():
    """Replayed into the bot's books, the tape gives the levels that dictionaries give."""
    rows, made = generate_rows(TapeSpec(rows=4_000, seed=11, levels=(10, 20)))
    books = Books()
    for meta in made:
        books.add(meta.instrument, 0)
    for (book, kind, ts, keys, quantities), (_, _, bids, asks) in zip(messages(rows), naive(rows, 2), strict=True):
        if kind is Kind.TRADE:
            continue
        pairs = np.stack((np.abs(keys), quantities), axis=1)
        put = books.apply_snapshot if kind is Kind.SNAPSHOT else books.apply_update
        put(book, pairs[keys > 0], pairs[keys < 0], 0, ts)
        assert books.validate(book)
        keys_at, capacity, start, end = books.mem[layout.HEADS + layout.HEAD_WIDTH * book + layout.BIDS :][:4].tolist()
        kept = books.mem[keys_at + start : keys_at + end].tolist()
        sizes = books.mem[keys_at + capacity + start : keys_at + capacity + end].tolist()
        assert sorted(bids.items()) == list(zip(kept, sizes, strict=True))
        assert (max(bids), min(asks)) == best_of(books, book)
        assert len(asks) == made[book].depth


def test_stream_is_what_it_is_said_to_be():
    """Rates and shares are those of two large venues, and windows with an edge after fees occur."""
    rows, _ = generate_rows(TapeSpec(rows=600_000))
    kind, book = rows.tag & KIND_MASK, rows.tag >> BOOK_SHIFT
    seconds = (rows.recv_ts_ns[-1] - rows.recv_ts_ns[0]) / 1e9
    assert 1000 < len(rows) / seconds < 1200
    assert 0.32 < (book == 0).mean() < 0.35
    assert 2.6 < len(rows) / ((rows.tag & IS_LAST) > 0).sum() < 3.0
    assert 0.022 < (kind == Kind.TRADE).mean() < 0.026
    assert 0.17 < ((kind == Kind.DELTA) & (rows.qty == 0)).mean() < 0.21
    assert [2, 1] == [(kind == Kind.SNAPSHOT)[book == 0].sum() // 100, (kind == Kind.SNAPSHOT)[book == 1].sum() // 2000]
    assert 0.0001 < edge_share(rows.part(0, 150_000)) < 0.01


def edge_share(rows):
    """Return the share of messages at which one venue's bid is 25 bps above the other's ask, by the bot's own books."""
    books = Books()
    for meta in metas(TapeSpec(rows=1)):
        books.add(meta.instrument, 0)
    seen = clear = 0
    best = {0: (0, 1 << 60), 1: (0, 1 << 60)}
    for book, kind, ts, keys, quantities in messages(rows):
        seen += 1
        if kind is not Kind.TRADE:
            pairs = np.stack((np.abs(keys), quantities), axis=1)
            put = books.apply_snapshot if kind is Kind.SNAPSHOT else books.apply_update
            put(book, pairs[keys > 0], pairs[keys < 0], 0, ts)
            best[book] = best_of(books, book)
        clear += any(best[a][0] * 10_000 > best[b][1] * 10_025 for a, b in ((0, 1), (1, 0)))
    return clear / seen


def best_of(books, book):
    """Return best bid and best ask in ticks."""
    heads = [layout.HEADS + layout.HEAD_WIDTH * book + side for side in (layout.BIDS, layout.ASKS)]
    ends = [int(books.mem[head + layout.KEYS] + books.mem[head + layout.END]) - 1 for head in heads]
    return int(books.mem[ends[0]]), -int(books.mem[ends[1]])


def test_same_seed_same_tape_however_it_is_cut():
    """Chunks of any size hold the same bytes, and another seed holds others."""
    whole, _ = generate_rows(SPEC)
    for chunk_rows in (1_500, 9_999):
        parts = [Rows(*(column.copy() for column in rows)) for rows in generate_chunks(SPEC, chunk_rows)]
        assert whole_bytes(whole) == b"".join(np.concatenate(column).tobytes() for column in zip(*parts, strict=True))
    assert whole_bytes(whole) != whole_bytes(generate_rows(msgspec.structs.replace(SPEC, seed=8))[0])
    assert 20_000 <= len(whole) < 20_100


def whole_bytes(rows):
    return b"".join(column.tobytes() for column in rows)


def test_streams_apart_hold_what_they_hold_together():
    """The rows of each stream are those of the merged tape with its number, in the same order."""
    whole, made = generate_rows(SPEC)
    apart = {}
    for number, rows in generate(SPEC, 5_000):
        apart.setdefault(number, []).append(rows)
    for number in range(len(made)):
        mine = (whole.tag >> BOOK_SHIFT) == number
        got = np.concatenate([rows.key for rows in apart[number]])
        assert whole.key[mine].tolist() == got.tolist()


def test_time_rises_from_message_to_message():
    """No two messages have one time, and a venue's own time never falls."""
    rows, _ = generate_rows(SPEC)
    ends = np.flatnonzero(rows.tag & IS_LAST)
    assert (np.diff(rows.recv_ts_ns[ends]) > 0).all()
    for book in (0, 1):
        assert (np.diff(rows.venue_ts_ns[(rows.tag >> BOOK_SHIFT) == book]) >= 0).all()


def faulty(kind, amount=0):
    rows, _ = generate_rows(
        TapeSpec(
            rows=12_000,
            seed=5,
            levels=(20, 40),
            faults=(Fault(kind=kind, venue=1, first_s=4, last_s=8, amount=amount),),
        )
    )
    mine = (rows.tag >> BOOK_SHIFT) == 1
    second = (rows.recv_ts_ns - rows.recv_ts_ns[0]) / 1e9
    return rows, mine, mine & (second > 4.1) & (second < 7.9)


@pytest.mark.parametrize("kind", [FaultKind.GAP_IN_SEQUENCE, FaultKind.CROSSED, FaultKind.FROZEN, FaultKind.SILENT])
def test_faults_that_hide_the_book_end_with_a_snapshot(kind):
    """A second snapshot comes when the fault is over, and from there the books are exact again."""
    rows, mine, during = faulty(kind, amount=5)
    snapshot = mine & ((rows.tag & KIND_MASK) == Kind.SNAPSHOT)
    assert 2 * 80 == snapshot.sum()
    assert len(set(rows.key[during].tolist())) <= 1
    for book, _, bids, asks in list(naive(rows, 2))[-500:]:
        assert max(bids) < min(asks)
        assert (20, 40)[book] == len(bids) == len(asks)
    kinds = set((rows.tag[mine] & KIND_MASK).tolist())
    assert (Kind.CLEAR in kinds) == (kind is FaultKind.GAP_IN_SEQUENCE)
    crossed = any(bids and max(bids) >= min(asks) for _, _, bids, asks in naive(rows, 2))
    assert crossed == (kind is FaultKind.CROSSED)


def test_a_crossed_book_is_seen_by_the_inspector():
    """The planted bid lies `amount` ticks above the best ask that was told, on that stream only, whatever was said just before."""
    for seed in range(1, 6):
        fault = Fault(kind=FaultKind.CROSSED, first_s=1, last_s=3, amount=5)
        rows, metas = generate_rows(
            TapeSpec(rows=40_000, venues=3, symbols=2, seed=seed, rows_per_s=8_000, faults=(fault,))
        )
        for number, meta in enumerate(metas):
            mine = (rows.tag >> 8) == number
            own = Rows(*(column[mine] for column in rows))
            stats = series_stats(walk_stream(meta, [own.having(tag=own.tag & 0xFF)]))
            assert (number == 0) == (stats.crossed > 0)
            if stats.crossed:
                # 5 ticks of 0.01 at about 60,000
                assert 0.0075 < stats.crossed_max_bps < 0.0090


def test_faults_of_the_clock():
    """Whole seconds and a clock behind are seen in the venue's time, and only while the fault lasts."""
    rows, mine, during = faulty(FaultKind.WHOLE_SECONDS)
    assert (rows.venue_ts_ns[during] % 1_000_000_000 == 0).all()
    assert (rows.venue_ts_ns[~mine] % 1_000_000_000 != 0).any()
    rows, mine, during = faulty(FaultKind.CLOCK_BEHIND, amount=50_000_000)
    assert (rows.recv_ts_ns[during] - rows.venue_ts_ns[during] == -50_000_000).all()
    assert (rows.recv_ts_ns[~mine] > rows.venue_ts_ns[~mine]).all()


def test_duplicates_repeat_messages():
    """Every message comes twice while the fault lasts."""
    rows, _, during = faulty(FaultKind.DUPLICATES)
    clean, _ = generate_rows(TapeSpec(rows=12_000, seed=5, levels=(20, 40)))
    there = np.isin(clean.recv_ts_ns, rows.recv_ts_ns[during])
    assert 2 * there.sum() == during.sum() > 1000


@pytest.mark.parametrize(
    "wrong", [{"rows": 0}, {"venues": 1}, {"symbols": 201}, {"levels": (5, 5)}, {"shares": (1.0,)}, {"seed": -1}]
)
def test_impossible_specs_are_refused(wrong):
    """What cannot be made is the user's mistake, by the name of the number."""
    with pytest.raises(UserError, match=next(iter(wrong))):
        metas(TapeSpec(**({"rows": 10} | wrong)))


def test_command_writes_a_tape(tmp_path, capsys):
    """The command leaves a catalogue and says in JSON what it made."""
    generate_command(out=tmp_path / "tape", rows=5_000, seed=4, venues=3, symbols=2, as_json=True)
    told = json.loads(capsys.readouterr().out)
    datasets = Catalogue(tmp_path / "tape").datasets()
    assert told["rows"] == sum(dataset.rows for dataset in datasets)
    assert 6 == len(datasets)
