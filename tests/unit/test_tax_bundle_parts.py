"""The bundle's small parts: words asked for, the folder, round trips, the bridge, the page."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from arbot.domain.errors import UserError
from arbot.domain.history import LotMethod, PickedLot
from arbot.ledger.cells import cell
from arbot.ledger.jurisdictions.registry import country
from arbot.ledger.lots.policy import LotPolicy, Pick, StandingOrder
from arbot.ledger.lots.words import OpenItem
from arbot.tax.bundle.adding import adding
from arbot.tax.bundle.asked import Acceptance, choose, parse_asked
from arbot.tax.bundle.folder import MANIFEST, put_in_place
from arbot.tax.bundle.round_trips import RoundTrips
from arbot.tax.bundle.sheet import Sheet
from arbot.tax.bundle.summary import page
from arbot.tax.bundle.texts import plain, utc
from arbot.tax.bundle.told import Grid, Told
from tests.support.bundle_world import asked

US = country("us")
HIFO_ORDER = StandingOrder(method=LotMethod.HIFO, recorded_ns=5)


def test_all_wrong_words_are_told_together() -> None:
    """Name every option that will not do, with what it may be."""
    with pytest.raises(UserError) as caught:
        parse_asked(country="us", year=2025, method="best", pool="mine", rows="few", accept=("",))

    assert ["--method", "--pool", "--rows", "--accept"] == [mistake.where for mistake in caught.value.mistakes]


def test_acceptance_names_one_item_or_a_whole_code() -> None:
    """Let pass what is named, and nothing beside it."""
    item = OpenItem("no_basis", "kraken:T1", "0.5 BTC missing", "import an opening")

    assert Acceptance("no_basis").covers(item)
    assert Acceptance("no_basis", "kraken:T1").covers(item)
    assert not Acceptance("no_basis", "kraken:T2").covers(item)
    assert not Acceptance("missing_price").covers(item)
    assert (Acceptance("no_basis", "kraken:T1"),) == asked(accept=("no_basis:kraken:T1",)).accepted


@pytest.mark.parametrize(
    ("method", "books", "is_what_if", "has_orders"),
    [
        (None, LotPolicy(), False, False),
        ("fifo", LotPolicy(), False, False),
        ("lifo", LotPolicy(), True, False),
        (None, LotPolicy(orders=(HIFO_ORDER,)), False, True),
        ("hifo", LotPolicy(orders=(HIFO_ORDER,)), False, True),
        ("fifo", LotPolicy(orders=(HIFO_ORDER,)), True, False),
        ("fifo", LotPolicy(picks={"s": Pick(lots=(PickedLot("a", Decimal(1)),))}), True, False),
    ],
)
def test_only_what_the_books_hold_can_be_filed(
    method: str | None, books: LotPolicy, is_what_if: bool, has_orders: bool
) -> None:
    """Follow the books where they are asked for; call everything else a what-if and leave their orders out."""
    wanted = asked(method=method)

    choice = choose(wanted, books, US.method(method or ""), US)

    assert is_what_if == bool(choice.what_if)
    assert has_orders == bool(choice.policy.orders)
    assert (LotMethod(method) if is_what_if and method else LotMethod.FIFO) == choice.policy.method


def test_one_pool_since_2025_cannot_be_filed() -> None:
    """Say that lots are per account since 2025 when one pool is asked for; before, it may be filed."""
    assert "per account" in choose(asked(pool="universal"), LotPolicy(), LotMethod.FIFO, US).what_if
    assert choose(asked(pool="universal", year=2024), LotPolicy(), LotMethod.FIFO, US).what_if == ""


def test_a_bundle_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    """Leave the earlier bundle when writing fails, and nothing hidden beside it."""
    goal = tmp_path / "bundle"
    with put_in_place(goal) as folder:
        folder.sheet("a.csv", "x").put("1")
        folder.digests()
        (folder.path / MANIFEST).write_text('{"bundle": "arbot tax report"}')
    with pytest.raises(RuntimeError):
        fail_half_way(goal)

    assert ["a.csv", MANIFEST] == sorted(path.name for path in goal.iterdir())
    assert [goal] == list(tmp_path.iterdir())


def fail_half_way(goal: Path) -> None:
    with put_in_place(goal) as folder:
        folder.sheet("b.csv", "x").flush()
        raise RuntimeError


def test_a_kill_between_the_renames_is_mended(tmp_path: Path) -> None:
    """Put the earlier bundle back before the next one is written, and drop what a killed report left."""
    goal = tmp_path / "bundle"
    earlier = tmp_path / ".bundle.earlier"
    earlier.mkdir()
    (earlier / MANIFEST).write_text('{"bundle": "arbot tax report"}')
    (tmp_path / ".bundle.unfinished-x").mkdir()
    with pytest.raises(RuntimeError), put_in_place(goal):
        raise RuntimeError

    assert [goal] == list(tmp_path.iterdir())
    assert (goal / MANIFEST).exists()


def test_a_folder_of_others_is_refused(tmp_path: Path) -> None:
    """Touch no folder that holds anything else than a bundle, and no file."""
    (tmp_path / "thesis.txt").write_text("all of it")
    with pytest.raises(UserError, match="no earlier bundle"), put_in_place(tmp_path):
        pass
    with pytest.raises(UserError, match="is a file"), put_in_place(tmp_path / "thesis.txt"):
        pass

    assert (tmp_path / "thesis.txt").read_text() == "all of it"


def test_a_sheet_knows_its_bytes(tmp_path: Path) -> None:
    """Count rows without the header and digest what is on disk, however often it was flushed."""
    sheet = Sheet(tmp_path / "a.csv", "x,y")
    sheet.put("1,2")
    sheet.flush()
    sheet.put("3,4")
    digest = sheet.digest()

    assert (tmp_path / "a.csv").read_bytes() == b"x,y\n1,2\n3,4\n"
    assert (2, 12) == (digest.rows, digest.bytes)


@pytest.mark.parametrize(
    ("ts_ns", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (1_735_689_610_500_000_000, "2025-01-01T00:00:10.5Z"),
        (1_709_251_199_000_000_001, "2024-02-29T23:59:59.000000001Z"),
    ],
)
def test_instants_are_spelled_in_full(ts_ns: int, text: str) -> None:
    """Write as many digits of the second as there are."""
    assert text == utc(ts_ns)


def test_numbers_and_cells_are_plain() -> None:
    """Write no exponent, keep every digit, quote what RFC 4180 asks for."""
    assert plain(Decimal("1E-9")) == "0.000000001"
    assert plain(Decimal("1E+3")) == "1000"
    assert cell('a "b", c') == '"a ""b"", c"'
    assert cell("plain") == "plain"


def test_round_trips_meet_the_newest_trade() -> None:
    """Set a sale against the newest purchases, and keep the older ones open."""
    trips = RoundTrips()
    with adding():
        trips.buy(Decimal(2), Decimal(200))
        trips.buy(Decimal(1), Decimal(110))
        trips.sell(Decimal("1.5"), Decimal(180))

        assert Decimal(180) - Decimal(110) - Decimal(50) == trips.profit
        assert (Decimal("1.5"), Decimal(-150)) == (trips.open_qty(), trips.open_flow())


def test_round_trips_turn_around() -> None:
    """Close what is open, open the rest the other way, and lose nothing of any value."""
    trips = RoundTrips()
    with adding():
        trips.buy(Decimal(3), Decimal(100))
        trips.sell(Decimal(7), Decimal(231))

        assert Decimal(-4) == trips.open_qty()
        assert Decimal(131) == trips.profit + trips.open_flow()


def test_the_page_shows_text_as_text() -> None:
    """Escape what comes from outside, cut long lists, say how many more there are."""
    items = tuple(OpenItem("no_basis", f"<b>{n}</b>", "x" * 500, "import") for n in range(20))
    told = Told(
        country="us",
        country_name="United States",
        year="2025",
        method="fifo",
        settings={"time zone": "UTC"},
        counts={"lines": 1000},
        ledger_head="0",
        mode="",
        code_version="1",
        warnings=tuple(f"warning {n}" for n in range(9)),
        accepted=items,
        grids=(Grid("t", ("a", "b"), (("x & y", "1"),)),),
    )
    html = page(told)

    assert "&lt;b&gt;0&lt;/b&gt;" in html
    assert "x &amp; y" in html
    assert "17 more in open-items.csv" in html
    assert "5 more in manifest.json" in html
    assert "<script" not in html
    assert "http" not in html
