"""Does the journal tell the whole history: every fill, way and unit once, priced, and what is open by name?"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from arbot.domain.events import HistoryImported
from arbot.domain.history import (
    DepositLine,
    FillLine,
    IncomeLine,
    OpeningLine,
    SpendLine,
    TransferLine,
    WithdrawalLine,
    format_ts,
)
from arbot.ledger.history.settling import PRETEND_NOTE
from arbot.ledger.history.writing import canonical
from tests.support.engine_world import World, an_instrument
from tests.support.journal_world import OPEN, Book, balances_of, of_kind

ARB = ("kraken filled 2 @100.2 fee 0.01 BTC", "coinbase filled 2 @101 fee 0.2 USD")


def ours(book: Book) -> dict[tuple[str, str], Decimal]:
    """Return what the ledger says of venues."""
    sums = {(name.removeprefix("assets:"), asset): n for name, asset, n in book.ledger.balances() if "assets:" in name}
    return {key: number for key, number in sums.items() if number}


def codes(book: Book, *imported: str, is_pretend: bool = False) -> list[str]:
    """Return the codes of what is open, each with its place."""
    return [f"{one.code} {one.where}" for one in book.settled(*imported, is_pretend=is_pretend).items]


def funded(*imported: str) -> list[str]:
    """Return lines that give both venues the basis of what they held at first, and others."""
    opening = '{"kind": "opening", "id": "O-%s", "ts": "2026-01-01T00:00:00Z", "venue": "%s", "asset": "BTC", "amount": "10", "basis": "900", "acquired": "2025-01-01T00:00:00Z"}'  # fmt: skip
    return [opening % (venue, venue) for venue in ("kraken", "coinbase")] + list(imported)


def test_an_arb_becomes_two_priced_lines_and_every_balance_is_that_of_the_venues():
    """Tell each fill once with order, exact cost, fee on top and evidence; all lines add up to the ledger's balances."""
    book = Book().play(*OPEN, "kraken balances", *ARB).again()

    settled = book.settled()
    fills = of_kind(settled.lines, FillLine)

    assert [(one.id, one.cost, one.fee, one.fee_ccy) for one in fills] == [
        ("kraken:T1", Decimal("200.4"), Decimal("0.01"), "BTC"),
        ("coinbase:T2", Decimal(202), Decimal("0.2"), "USD"),
    ]
    assert {one.px["BTC"] for one in fills} == {Decimal("100.6")}
    assert fills[0].order_id.startswith("V-")
    assert fills[0].px_src["BTC"].startswith("median of mids of kraken BTC/USD, coinbase BTC/USD at 2026-")
    assert balances_of(settled.lines) == ours(book)
    assert settled.items == []


def test_a_fee_in_a_third_asset_keeps_its_own_price():
    """Price BNB over USDT for a fill of BTC/USD, and take it from the balance to the last digit."""
    listed = (*(an_instrument(v) for v in ("kraken", "coinbase")), an_instrument("kraken", "BNB/USDT"), an_instrument("kraken", "USDT/USD"))  # fmt: skip
    book = Book(World(instruments=listed, balances={"BTC": "10", "USD": "10000", "BNB": "3"}))
    book.play("kraken book BNB/USDT bid 599.0x1 ask 601.0x1", "kraken book USDT/USD bid 0.9x1 ask 1.1x1", *OPEN)
    book.play("kraken balances").filled("kraken", "BTC/USD", "1", "100.2", "0.01 BNB")

    settled = book.settled()

    assert of_kind(settled.lines, FillLine)[0].px == {"BTC": Decimal("100.6"), "BNB": Decimal(600)}
    assert balances_of(settled.lines)["kraken", "BNB"] == Decimal("2.99")
    assert settled.items == []


def test_a_fill_taken_back_disappears_with_a_note_and_its_kept_fee_stays():
    """Leave no line of the trade; book what the venue kept of the fee as a spend, so that balances tie."""
    book = Book().play(*OPEN, "kraken balances", *ARB, "coinbase busted")

    settled = book.settled()

    assert [one.id for one in of_kind(settled.lines, FillLine)] == ["kraken:T1"]
    assert [note.partition(" of order")[0] for note in settled.notes] == ["coinbase took trade T2"]
    assert sum(one.amount for one in of_kind(settled.lines, SpendLine)) == Decimal("0.4")
    assert balances_of(settled.lines) == ours(book)


def test_what_a_venue_held_at_first_has_no_basis_that_anybody_told():
    """Name each coin with its exact quantity, and propose a line with the value of the moment to be checked; cash is cash."""
    book = Book().play(*OPEN, "kraken balances")

    settled = book.settled(is_pretend=False)

    assert [(one.code, one.where) for one in settled.items] == [
        ("no_basis", "opening:coinbase:BTC"),
        ("no_basis", "opening:kraken:BTC"),
    ]
    assert [one.amount for one in of_kind(settled.lines, DepositLine)] == [Decimal(10000), Decimal(10000)]
    draft = msgspec.json.decode(settled.drafts[0])
    assert (draft["amount"], draft["basis"], draft["px"]) == ("10", "1006.0", {"BTC": "100.6"})
    assert draft["note"].startswith("CHECK")


def test_imported_lots_explain_what_was_there_by_quantity():
    """Settle the item with as many lines as there were purchases, and name what is still left, or too much."""
    book = Book().play(*OPEN, "kraken balances")
    lots = funded()

    assert codes(book, *lots) == []
    assert codes(book, lots[1]) == ["no_basis opening:kraken:BTC"]
    half = lots[0].replace('"10"', '"4"')
    assert "held 6 BTC" in book.settled(half, lots[1], is_pretend=False).items[0].what
    more = lots[0].replace('"10"', '"11"')
    assert codes(book, more, lots[1]) == ["unexplained_difference kraken BTC"]


def test_pretend_money_is_worth_what_it_was_when_first_seen():
    """Open a demo's coins at their value, marked, before every line of the venue."""
    settled = Book().play(*OPEN, "kraken balances", *ARB).settled()

    opened = of_kind(settled.lines, OpeningLine)

    assert {(one.basis, one.note) for one in opened} == {(Decimal("1006.0"), PRETEND_NOTE)}
    assert [type(one.line) for one in settled.lines][:4].count(FillLine) == 0


def test_an_own_transfer_is_one_line_and_what_went_missing_is_a_spend():
    """Join both ends by the network's id: sent is received and fee exactly, a hidden fee stands by itself."""
    book = Book().play(*OPEN, "kraken balances")
    book.moved("kraken", "-3", "W1", tx="0xa", fee="0.001").moved("coinbase", "2.9999", "D1", tx="0xa")

    settled = book.settled()
    (line,) = of_kind(settled.lines, TransferLine)

    assert (line.id, line.src, line.dst, line.txid) == ("kraken:withdrawal:W1", "kraken", "coinbase", "0xa")
    assert (line.sent, line.received, line.fee) == (Decimal("3.001"), Decimal(3), Decimal("0.001"))
    assert line.ts_in > line.ts
    assert [(one.id, one.amount) for one in of_kind(settled.lines, SpendLine)] == [
        ("kraken:withdrawal:W1:lost", Decimal("0.0001"))
    ]
    assert balances_of(settled.lines) == ours(book)
    assert settled.items == []


def test_a_transfer_is_found_whichever_end_is_told_first():
    """Join a deposit that was told before its withdrawal."""
    book = Book().play(*OPEN, "kraken balances")
    book.moved("coinbase", "3", "D1", tx="0xa").moved("kraken", "-3", "W1", tx="0xa")

    settled = book.settled()

    assert [one.id for one in of_kind(settled.lines, TransferLine)] == ["kraken:withdrawal:W1"]
    assert balances_of(settled.lines) == ours(book)
    assert settled.items == []


def test_coins_nobody_expected_are_open_until_somebody_names_them():
    """Keep what left on its way to an unnamed account, and what came without a line; drafts cannot be imported unread."""
    book = Book().play(*OPEN, "kraken balances").moved("kraken", "-1", "W1", tx="0xb").moved("coinbase", "2", "D9")
    settled = book.settled(*funded(), is_pretend=False)

    assert [(one.code, one.where) for one in settled.items] == [
        ("unmatched_transfer", "kraken:withdrawal:W1"),
        ("unmatched_transfer", "coinbase:deposit:D9"),
    ]
    assert [(one.dst, one.ts_in) for one in of_kind(settled.lines, TransferLine)] == [("elsewhere", None)]
    assert '"dst": "?"' in settled.drafts[0]

    named = settled.drafts[0].replace('"?"', '"wallet.cold"')
    opening = msgspec.json.encode(msgspec.json.decode(settled.drafts[1])).decode()
    assert codes(book, *funded(named, opening)) == []
    assert codes(book, *funded(named, opening.replace('"amount":"2"', '"amount":"3"'))) == [
        "conflict coinbase:deposit:D9"
    ]


def test_a_wallet_of_ones_own_is_matched_by_the_networks_id():
    """Take an imported transfer from a wallet for the deposit that carries its transaction, and count it once."""
    book = Book().play(*OPEN, "kraken balances").moved("coinbase", "2", "D9", tx="0xc").snapshot("coinbase")
    line = '{"kind": "transfer", "id": "X1", "ts": "2026-01-01T00:00:00Z", "ts_in": "%s", "src": "wallet.cold", "dst": "coinbase", "asset": "BTC", "sent": "2", "received": "2", "fee": "0", "txid": "0xc", "px": {"BTC": "1"}}'  # fmt: skip
    arrived = book.read().unmatched[0]

    assert codes(book, *funded(line % format_ts(arrived.ts_ns))) == []


def test_cash_from_and_to_the_bank_is_a_line_of_its_own():
    """Write deposits and withdrawals of cash, and what the venue charged for them as spends."""
    book = Book().play(*OPEN, "kraken balances")
    book.moved("kraken", "500", "D1", asset="USD").moved("kraken", "-200", "W1", asset="USD", fee="5")

    settled = book.settled()

    assert [(one.id, one.amount) for one in of_kind(settled.lines, WithdrawalLine)] == [
        ("kraken:withdrawal:W1", Decimal(200))
    ]
    assert "kraken:deposit:D1" in [one.id for one in of_kind(settled.lines, DepositLine)]
    assert [one.amount for one in of_kind(settled.lines, SpendLine)] == [Decimal(5)]
    assert balances_of(settled.lines) == ours(book)


def test_an_adjustment_is_income_or_a_spend_with_its_reason_and_may_be_told_anew():
    """Value what a person booked; a line of another kind under its id takes its place if it moves as much."""
    book = Book().play(*OPEN, "kraken balances").adjusted("kraken", "0.5").adjusted("kraken", "-0.25")
    settled = book.settled()

    (income,), (spend,) = of_kind(settled.lines, IncomeLine), of_kind(settled.lines, SpendLine)

    assert (income.amount, income.why, spend.amount) == (Decimal("0.5"), "other", Decimal("0.25"))
    assert "booked by me: found" in income.note
    told = OpeningLine(id=income.id, ts=income.ts, venue="kraken", asset="BTC", amount=income.amount, basis=Decimal(9), acquired=income.ts)  # fmt: skip
    assert of_kind(book.settled(canonical(told)).lines, IncomeLine) == []
    wrong = canonical(msgspec.structs.replace(told, amount=Decimal(1)))
    assert codes(book, wrong, is_pretend=True) == [f"conflict {income.id}"]


def test_a_snapshot_that_disagrees_is_open_to_the_last_digit_with_where_it_began():
    """Say what history has and what the venue said, since when, and the command that settles it."""
    book = Book().play(*OPEN, "kraken balances").snapshot("kraken").snapshot("kraken", BTC="10.00000001")

    (item,) = book.settled().items
    tied = next(
        e.seq for e in reversed(book.entries[:-1]) if type(e.envelope.event).__name__ == "AccountSnapshotReceived"
    )

    assert (item.code, item.where) == ("unexplained_difference", "kraken BTC")
    assert "history has 10 BTC, kraken said 10.00000001" in item.what
    assert f"they agreed at journal {tied}" in item.what
    assert "arbot ledger adjust kraken BTC 0.00000001" in item.remedy
    assert codes(book.adjusted("kraken", "0.00000001"), is_pretend=True) == []


def test_a_fill_on_its_way_when_the_snapshot_was_taken_is_no_difference():
    """Let what is booked within a minute explain the newest snapshot, and nothing later."""
    book = Book().play(*OPEN, "kraken balances")
    book.snapshot("kraken", BTC="12", USD="9799.6").play("kraken filled 2 @100.2")

    assert codes(book, is_pretend=True) == []


def test_the_same_line_imported_passes_once_and_another_body_is_a_conflict():
    """Take an export of our own back without a second line; name the fields in which another version differs."""
    book = Book().play(*OPEN, "kraken balances", *ARB)
    fill = of_kind(book.settled().lines, FillLine)[0]
    other = msgspec.structs.replace(fill, cost=Decimal(999))

    same = book.settled(canonical(fill))
    assert (same.items, same.skipped) == ([], {"kraken:T1"})
    assert len(same.lines) == len(book.settled().lines)
    (item,) = book.settled(canonical(other)).items
    assert (item.code, item.where) == ("conflict", "kraken:T1")
    assert "cost 200.4 against 999" in item.what


def test_a_missing_price_is_open_and_a_twin_with_the_price_completes_the_line():
    """Never guess: USDT without a book has no price; the drafted line, completed and imported, brings it."""
    listed = tuple(an_instrument(v, "BTC/USDT") for v in ("kraken", "coinbase"))
    book = Book(World(instruments=listed, balances={"BTC": "10", "USDT": "10000"}))
    book.filled("kraken", "BTC/USDT", "2", "100.2", "0 USDT")
    settled = book.settled(is_pretend=False)

    assert "missing_price kraken:T1" in [f"{one.code} {one.where}" for one in settled.items]
    (draft,) = (one for one in settled.drafts if "kraken:T1" in one)
    assert '"px": {"BTC": "?", "USDT": "?"}' in draft
    whole = draft.replace('"BTC": "?", "USDT": "?"', '"BTC": "100", "USDT": "0.99"')
    line = of_kind(book.settled(whole, is_pretend=False).lines, FillLine)[0]
    assert line.px == {"BTC": Decimal(100), "USDT": Decimal("0.99")}
    assert "missing_price kraken:T1" not in codes(book, whole)


def test_reading_twice_gives_the_same():
    """Be deterministic, and the same for a journal read in one go or over a restart."""
    book = Book().play(*OPEN, "kraken balances", *ARB).moved("kraken", "-3", "W1", tx="0xa")

    assert book.settled() == book.settled()


def test_a_transfer_from_a_wallet_does_not_move_the_venue_a_second_time():
    """Book an imported transfer against transit when its deposit was told by the venue: balances stay what venues say."""
    book = Book().play(*OPEN, "kraken balances").moved("coinbase", "2", "D9", tx="0xc")
    before = ours(book)
    line = '{"kind": "transfer", "id": "X1", "ts": "2026-01-01T00:00:00Z", "ts_in": "2026-12-01T00:00:00Z", "src": "wallet.cold", "dst": "coinbase", "asset": "BTC", "sent": "2", "received": "2", "fee": "0", "txid": "%s", "px": {"BTC": "1"}}'  # fmt: skip
    for tx in ("0xc", "0xd"):
        book.give(HistoryImported(source="f", digest=tx, row=1, lines=(line % tx,)))
        moved = ours(book)["coinbase", "BTC"] - before["coinbase", "BTC"]
        assert moved == (0 if tx == "0xc" else 2)
