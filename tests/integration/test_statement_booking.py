"""Statements into a store: once, whole, and never over what is booked."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arbot.domain.errors import UserError
from arbot.domain.history import FillLine, TransferLine
from arbot.journal.history import history_lines
from arbot.journal.store import SqlStore
from arbot.ledger.history.evidence import Pricing
from arbot.ledger.history.journaled import Unmatched
from arbot.tax.importing import Told
from arbot.tax.statements.booking import import_statement
from arbot.tax.statements.common import Options
from arbot.tax.statements.formats import detect

KRAKEN = """txid,refid,time,type,subtype,aclass,asset,amount,fee,balance
L1,Q1,2025-01-01 00:00:00,deposit,,currency,ZUSD,10000.0000,0,10000.0000
L2,T1,2025-01-02 00:00:00,trade,,currency,ZUSD,-94.0000,0.2400,9905.7600
L3,T1,2025-01-02 00:00:00,trade,,currency,XXBT,0.0010000000,0,0.0010000000
"""
WITHDRAWN = KRAKEN + "L4,A1,2025-01-03 00:00:00,withdrawal,,currency,XXBT,-0.0005,0.0001,0.0004\n"


@pytest.fixture
def store(tmp_path):
    """Open a store of its own."""
    opened = SqlStore.open(f"sqlite:///{tmp_path / 'books.db'}", now_ns=lambda: 1_800_000_000_000_000_000)
    yield opened
    opened.close()


@pytest.fixture
def bring(tmp_path, store):
    """Import a text as a Kraken ledger."""

    def of(text, **how):
        path = tmp_path / "ledgers.csv"
        path.write_text(text)
        return import_statement(path, store, "kraken-ledgers", Options(), **how)

    return of


def stored(store):
    return [line.body for line in history_lines(store)]


def test_statement_is_booked_once(bring, store):
    """The second import of a file finds everything booked and writes nothing at all."""
    first = bring(KRAKEN)
    assert (first.lines, first.new, first.known) == (2, 2, 0)
    booked, seq = stored(store), store.head().seq
    second = bring(KRAKEN)
    assert (second.new, second.known, second.seq) == (0, 2, seq)
    assert stored(store) == booked
    assert not store.verify()


def test_overlapping_statement_brings_only_what_is_new(bring, store):
    """A longer export adds its new rows."""
    bring(KRAKEN)
    more = KRAKEN + "L9,Q9,2025-01-04 00:00:00,deposit,,currency,ZUSD,1.0000,0,9906.7600\n"
    report = bring(more)
    assert (report.new, report.known) == (1, 2)
    assert len(stored(store)) == 3


def test_dry_run_writes_nothing(bring, store):
    """A dry run tells what would be new."""
    report = bring(KRAKEN, is_dry_run=True)
    assert (report.new, report.is_dry_run, stored(store)) == (2, True, [])


def test_conflict_refuses_the_file_and_can_be_kept(bring, store):
    """Other content under a booked id is listed with both values; keeping the ledger passes the rows over."""
    bring(KRAKEN)
    booked = stored(store)
    changed = KRAKEN.replace("0.2400", "0.2500") + "L9,Q9,2025-01-04 00:00:00,deposit,,currency,ZUSD,1.0000,0,1.0000\n"
    with pytest.raises(UserError) as refused:
        bring(changed)
    (mistake,) = refused.value.mistakes
    assert mistake.where == "ledgers.csv rows 3, 4, kraken:T1"
    assert mistake.what == "fee 0.25 USD here, 0.24 USD in the ledger [conflict]"
    assert stored(store) == booked
    report = bring(changed, is_ledger_kept=True)
    assert (report.new, report.known, report.kept) == (1, 1, 1)
    assert stored(store)[:2] == booked


def test_fill_that_arbot_booked_itself_is_a_duplicate(bring, store):
    """A trade of the journal, with more digits, order id and evidence, is met by its trade id."""
    fill = FillLine(
        id="kraken:T1", ts="2025-01-02T00:00:00.6067Z", venue="kraken", symbol="BTC/USD", base="BTC", quote="USD",
        side="buy", amount=Decimal("0.001"), price=Decimal(94000), cost=Decimal("94.00000"), fee=Decimal("0.24001"),
        fee_ccy="USD", order_id="O1", px={"BTC": Decimal(93999)}, px_src={"BTC": "book"},
    )  # fmt: skip
    report = bring(KRAKEN, booked=Told({fill.id: fill}, {}))
    assert (report.new, report.known) == (1, 1)
    assert [line for line in stored(store) if "kraken:T1" in line] == []


def test_open_item_refuses_the_whole_file(bring, store):
    """Coins that went nowhere keep the file out until somebody says where they are."""
    with pytest.raises(UserError, match="unmatched_transfer"):
        bring(WITHDRAWN)
    assert stored(store) == []


def test_mistakes_of_a_long_file_are_shown_in_part_and_counted(bring):
    """Fifty mistakes are shown, the rest is a number."""
    rows = "".join(f"X{n},Y{n},2025-01-01 00:00:00,lottery,,currency,ZUSD,1,0,1\n" for n in range(60))
    with pytest.raises(UserError) as refused:
        bring(KRAKEN + rows)
    assert len(refused.value.mistakes) == 51
    assert refused.value.mistakes[-1].what == "10 more mistakes are not shown"


def test_rules_of_the_canonical_form_hold_for_statements(bring):
    """A time that has not come yet is refused with the row of the statement."""
    with pytest.raises(UserError) as refused:
        bring(KRAKEN.replace("2025-01-02", "2995-01-02"))
    assert [mistake.where for mistake in refused.value.mistakes] == ["ledgers.csv rows 3, 4"]


@pytest.mark.parametrize(
    ("first", "has_map", "expected"),
    [
        (KRAKEN, False, "kraken-ledgers"),
        (
            "portfolio,trade id,product,side,created at,size,size unit,price,fee,total,price/fee/total unit",
            False,
            "coinbase-fills",
        ),
        ('{"kind": "meta"}', False, "jsonl"),
        ("a;b;c", True, "csv"),
    ],
)
def test_format_is_told_by_the_first_line(tmp_path, first, has_map, expected):
    """Each sort of file is known by how it begins."""
    path = tmp_path / "file"
    path.write_text(first)
    assert detect(path, has_map=has_map) == expected


def test_file_of_no_known_sort_is_refused(tmp_path):
    """Without a map a foreign CSV has no meaning."""
    path = tmp_path / "file.csv"
    path.write_text("a,b,c\n")
    with pytest.raises(UserError, match="is of no known sort"):
        detect(path, has_map=False)


def test_statement_says_where_coins_of_arbot_went(tmp_path, store):
    """A withdrawal that the journal knows only half is told anew by an entry, under the same id."""
    half = TransferLine(
        id="kraken:withdrawal:A1", ts="2025-01-03T00:00:00Z", ts_in=None, src="kraken", dst="elsewhere", asset="BTC",
        sent=Decimal("0.0006"), received=Decimal("0.0005"), fee=Decimal("0.0001"),
    )  # fmt: skip
    end = Unmatched(
        id=half.id, venue="kraken", asset="BTC", qty=Decimal("0.0006"), ts_ns=0, seq=1, tx_id="", is_deposit=False,
        pricing=Pricing({}, {}, {}, (), ()),
    )  # fmt: skip
    path, map_path = tmp_path / "ledgers.csv", tmp_path / "map.toml"
    path.write_text(WITHDRAWN)
    map_path.write_text(
        '[[transfers]]\nasset = "BTC"\nsrc = "kraken"\ndst = "cold"\nsent = "0.0006"\nreceived = "0.0005"\nout = "A1"\n'
        'at = "2025-01-03T00:00:00Z"\narrives = "2025-01-03T00:10:00Z"\nprice = "95000"\nprice_src = "book"\n'
    )
    told = Told({half.id: half}, {half.id: end})
    report = import_statement(path, store, "kraken-ledgers", Options(map_path=map_path), booked=told)
    assert (report.new, report.known) == (3, 0)
    assert '"dst": "cold"' in stored(store)[-1]
