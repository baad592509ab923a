"""The figures of the tax year: what is counted, how a child process tells it, and what becomes of a count that fails."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from arbot.cli.exit_codes import ExitCode
from arbot.cli.main import run
from arbot.journal.store import Access, SqlStore
from arbot.ledger.jurisdictions.registry import COUNTRIES
from arbot.runtime import tax_count
from arbot.runtime.clock import NS_PER_S, SystemClock, VirtualClock
from arbot.runtime.state_dir import TaxExport, note_tax_export, tax_export_ns
from arbot.runtime.supervisor import Supervisor
from arbot.runtime.tax_count import CCY, Counted, CountFailed, TaxCount, count_apart, request
from arbot.settings.defaults import demo
from arbot.tax.figures import Figures, figures
from arbot.tax.history import open_history


def fill(ident: str, day: str, side: str, amount: str, cost: str) -> dict[str, object]:
    """Return a line of history: BTC against USD."""
    return {
        "kind": "fill", "id": ident, "ts": f"{day}T00:00:00Z", "venue": "kraken", "symbol": "BTC/USD", "base": "BTC", "quote": "USD",
        "price": f"{Decimal(cost) / Decimal(amount):f}", "order_id": f"O-{ident}", "side": side, "amount": amount, "cost": cost, "fee": "0", "fee_ccy": "USD", "px": {"BTC": f"{Decimal(cost) / Decimal(amount):f}"},
    }  # fmt: skip


HISTORY = [
    fill("b1", "2024-01-01", "buy", "1", "100"),
    fill("b2", "2025-12-01", "buy", "2", "240"),
    fill("s0", "2025-12-10", "sell", "0.5", "70"),  # of the year before
    fill("s1", "2026-03-01", "sell", "0.5", "90"),  # held for more than a year
    fill("s2", "2026-03-02", "sell", "1", "150"),  # not so long
    {"kind": "spend", "id": "p1", "ts": "2026-04-01T00:00:00Z", "venue": "coinbase", "asset": "ETH", "amount": "3",
     "why": "payment", "px": {"ETH": "10"}},
    {"kind": "income", "id": "i1", "ts": "2026-04-02T00:00:00Z", "venue": "kraken", "asset": "SOL", "amount": "1",
     "why": "reward", "px": {"SOL": "5"}},
]  # fmt: skip
NOW_NS = 1_790_000_000 * NS_PER_S  # September 2026


@pytest.fixture
def ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Return a ledger with that history."""
    lines, path = tmp_path / "history.jsonl", tmp_path / "ledger.db"
    lines.write_text("".join(f"{json.dumps(line)}\n" for line in HISTORY))
    assert ExitCode.OK == run(["ledger", "import", str(lines), "--ledger", str(path)]), capsys.readouterr().err
    capsys.readouterr()
    return path


def counted(path: Path, country: str = "us") -> Figures:
    """Return the figures of a ledger."""
    store = SqlStore.open(f"sqlite:///{path}", now_ns=SystemClock().now_ns, access=Access.READ)
    try:
        return figures(open_history(store), country, NOW_NS)
    finally:
        store.close()


def test_gains_are_of_this_year_and_parted_by_term(ledger: Path) -> None:
    """Sell half of what was held for two years, and more that was not: long and short; last year's sale is not in it."""
    found = counted(ledger)

    assert ("us", "2026", "USD", 7) == (found.country, found.year, found.ccy, found.lines)
    assert (Decimal(40), Decimal(30)) == (found.gain_long, found.gain_short)


def test_what_is_held_and_what_is_lacking_is_counted(ledger: Path) -> None:
    """Count lots by asset, what left without a lot in units, and events without a price."""
    found = counted(ledger)

    assert {"BTC": 1, "SOL": 1} == found.open_lots
    assert {"ETH": Decimal(3)} == found.unmatched
    assert 0 == found.unpriced


def test_events_without_a_price_are_counted_each(ledger: Path) -> None:
    """Count by the rules of the United Kingdom what no line gives a rate for, and what the history itself leaves open."""
    found = counted(ledger, "uk")

    assert 7 == found.unpriced


def test_a_country_without_a_long_term_has_all_in_one(ledger: Path) -> None:
    """Count by the rules of the United Kingdom: nothing is long, and the year has two names."""
    found = counted(ledger, "uk")

    assert (Decimal(0), "GBP", "2026/2027") == (found.gain_long, found.ccy, found.year)


def test_currencies_are_those_of_the_countries() -> None:
    """Name for each country the currency that its rules count in."""
    assert {code: one.ccy for code, one in COUNTRIES.items()} == CCY


def test_the_command_says_the_same(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Print one JSON object, or lines for people."""
    assert ExitCode.OK == run(["tax", "figures", "--ledger", str(ledger), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert {"BTC": 1, "SOL": 1} == told["open_lots"]
    assert ExitCode.OK == run(["tax", "figures", "--ledger", str(ledger), "--country", "us"])
    assert "units without a lot  ETH 3\n" in capsys.readouterr().out


# --- apart ------------------------------------------------------------------------------------------------------------


async def test_a_child_counts_what_stdin_asks_for(ledger: Path, tmp_path: Path) -> None:
    """Give it the store on stdin and read the figures; nothing of it stands on its command line."""
    settings = demo(tmp_path, {"store": {"url": f"sqlite:///{ledger}"}})
    found = await count_apart(request(settings))

    assert isinstance(found, Counted)
    assert ({"BTC": 1, "SOL": 1}, {"ETH": Decimal(3)}, 0) == (found.open_lots, found.unmatched, found.unpriced)


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ((sys.executable, "-c", "raise SystemExit('no such store')"), "no such store"),
        ((sys.executable, "-c", "print('{}')"), "unreadable figures"),
        (("/nonexistent/python",), "no process could be started"),
    ],
)
async def test_a_count_that_fails_says_why(program: tuple[str, ...], why: str) -> None:
    """Return the last line of its complaint, or what is wrong with its answer."""
    found = await count_apart(b"{}", program)

    assert isinstance(found, CountFailed)
    assert why in found.why


async def test_a_child_does_not_outlive_who_waits_for_it(tmp_path: Path) -> None:
    """Stop waiting: the child is killed, however long it would have taken."""
    mark = tmp_path / "alive"
    program = f"import time, pathlib; time.sleep(1); pathlib.Path({str(mark)!r}).touch()"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await count_apart(b"", (sys.executable, "-c", program))
    await asyncio.sleep(1.2)

    assert not mark.exists()


# --- the service ------------------------------------------------------------------------------------------------------

FOUND = Counted(
    ccy="USD", open_lots={"BTC": 2}, gain_short=Decimal("1.5"), gain_long=Decimal(0), unpriced=3,
    unmatched={"DOGE": Decimal(7)},
)  # fmt: skip


@asynccontextmanager
async def serving(
    folder: Path, answers: Iterable[Counted | CountFailed], monkeypatch: pytest.MonkeyPatch, **tax: object
) -> Iterator[tuple[TaxCount, VirtualClock, list[bytes]]]:
    """Run the service on a clock of ours, with these answers in the place of a child's."""
    clock, asked, told = VirtualClock(), [], iter(answers)

    async def answer(wanted: bytes) -> Counted | CountFailed:
        asked.append(wanted)
        return next(told)

    monkeypatch.setattr(tax_count, "count_apart", answer)
    venue = SimpleNamespace(symbols=("BTC/USD",))
    daemon = SimpleNamespace(
        numbers=[], supervisor=Supervisor(clock), wiring=SimpleNamespace(clock=clock, venues=(venue,))
    )
    service = TaxCount(demo(folder, {"run": {"state_dir": str(folder)}, "tax": tax}))
    async with service(daemon):
        assert [service.numbers] == daemon.numbers
        yield service, clock, asked


async def after(clock: VirtualClock, seconds: float) -> None:
    """Let time pass, in the paces of the service, with room for its threads."""
    for _ in range(int(seconds // 10) + 1):
        await asyncio.sleep(0.01)
        clock.advance(min(seconds, 10))
    await asyncio.sleep(0.01)


def gauge(service: TaxCount, name: str, *labels: str) -> float:
    """Return one of its numbers."""
    return service.numbers()[f"arbot_tax_{name}"][labels]


async def test_every_number_is_there_before_the_first_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have zero lots of what is traded, no gain, and a count that was never."""
    async with serving(tmp_path, [], monkeypatch) as (service, _, asked):
        assert 0 == gauge(service, "open_lots", "BTC")
        assert 0 == gauge(service, "realized_gain", "long", "USD")
        assert 0 == gauge(service, "counted_timestamp_seconds")
        assert [] == asked


async def test_it_counts_soon_after_the_start_and_every_so_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Count within a minute, take the figures over, and count again an hour later where that is asked for."""
    gone = msgspec.structs.replace(FOUND, open_lots={}, unmatched={})
    async with serving(tmp_path, [FOUND, gone], monkeypatch, count_every_h="1") as (service, clock, asked):
        await after(clock, 60)
        assert 1 == len(asked)
        assert (2, 7, 3) == (
            gauge(service, "open_lots", "BTC"),
            gauge(service, "unmatched_quantity", "DOGE"),
            gauge(service, "unpriced_events"),
        )
        assert 1.5 == gauge(service, "realized_gain", "short", "USD")
        first = gauge(service, "counted_timestamp_seconds")
        await after(clock, 3_600)
        assert 2 == len(asked)
        assert (0, 0) == (gauge(service, "open_lots", "BTC"), gauge(service, "unmatched_quantity", "DOGE"))
        assert gauge(service, "counted_timestamp_seconds") > first


async def test_a_failure_keeps_the_last_figures_and_their_age(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the second count: the figures and their time are those of the first."""
    answers = [FOUND, CountFailed("the store is locked")]
    async with serving(tmp_path, answers, monkeypatch, count_every_h="1") as (service, clock, asked):
        await after(clock, 60)
        first = gauge(service, "counted_timestamp_seconds")
        await after(clock, 3_600)
        assert 2 == len(asked)
        assert (2, first) == (gauge(service, "open_lots", "BTC"), gauge(service, "counted_timestamp_seconds"))


async def test_it_can_be_turned_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Count never when told so; the word of an export is read all the same."""
    note_tax_export(tmp_path, TaxExport(ts_ns=5 * NS_PER_S, what="report us 2026"))
    async with serving(tmp_path, [], monkeypatch, count_every_h="0") as (service, clock, asked):
        await after(clock, 120)
        assert [] == asked
        assert 5 == gauge(service, "export_last_success_timestamp_seconds")


# --- the stamp --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "{}", "nonsense"])
def test_a_stamp_that_cannot_be_read_is_none(text: str, tmp_path: Path) -> None:
    """Take a damaged word for no word; and where there is no folder, leave none."""
    (tmp_path / "tax-export.json").write_text(text)
    note_tax_export(tmp_path / "nowhere", TaxExport(ts_ns=1, what="x"))

    assert 0 == tax_export_ns(tmp_path)
    assert 0 == tax_export_ns(tmp_path / "nowhere")


def test_an_export_of_the_runs_own_ledger_leaves_word(
    ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Export the config's own ledger: when is in its state folder. Another ledger's export is nobody's business."""
    monkeypatch.chdir(tmp_path)
    state = tmp_path / "state" / "demo"
    state.mkdir(parents=True)
    out = ["--out", str(tmp_path / "koinly.csv"), "--format", "koinly"]
    assert ExitCode.OK == run(["tax", "export", "--ledger", str(ledger), *out])
    assert 0 == tax_export_ns(state)
    (state / "arbot.sqlite").write_bytes(ledger.read_bytes())
    before_ns = SystemClock().now_ns()

    assert ExitCode.OK == run(["tax", "export", *out]), capsys.readouterr().err
    assert before_ns <= tax_export_ns(state) <= SystemClock().now_ns()
