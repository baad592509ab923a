"""The programs themselves read what was written for them: hledger, beancount, BittyTax, RP2. Each is skipped where absent.

The three that are Python run under the interpreter of `.venv-rivals-tax` (`make rivals-tax`), or of ARBOT_TAX_RIVALS.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from arbot.domain.history import IN_TRANSIT, LotMethod, Placed
from arbot.ledger.jurisdictions.us.run import UsRun
from arbot.ledger.lots.policy import LotPolicy, Pool
from arbot.ledger.lots.words import Slice, Why
from arbot.tax.formats.accounts import AccountNames
from arbot.tax.formats.beancount import ledger
from arbot.tax.formats.hledger import journal
from arbot.tax.formats.losses import Losses
from arbot.tax.formats.matched import Matching
from arbot.tax.formats.rp2 import WIDTH, Sheets
from arbot.tax.formats.spreadsheet import write_spreadsheet
from arbot.tax.formats.table_writer import write_table, write_text
from arbot.tax.formats.tables import TABLES
from tests.support.tax_formats import placed, shown
from tests.support.tax_golden import golden_file

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "tests" / "rivals"
RIVALS = Path(os.environ.get("ARBOT_TAX_RIVALS", ROOT / ".venv-rivals-tax")) / "bin"
RIVALS_ABSENT = "needs the independent engines: make rivals-tax"

BITTYTAX_CONF = """
local_currency: GBP
local_timezone: Europe/London
data_source_fiat: []
data_source_crypto: []
trade_asset_type: 2
trade_allowable_cost_type: 2
transaction_fee_allowable_cost: True
transfer_fee_disposal: True
transfer_fee_allowable_cost: False
"""
"""The settings that BittyTax ships with, except for the sources of prices: it is to need none."""

hledger_needed = pytest.mark.skipif(shutil.which("hledger") is None, reason="needs hledger: apt-get install hledger")


def program(name: str) -> str:
    """Return a program of the independent engines, or skip."""
    found = RIVALS / name
    if not found.exists():
        pytest.skip(RIVALS_ABSENT)
    return str(found)


def history(name: str) -> list[Placed]:
    """Return the shown history, or one of the golden ones; skip where those are absent."""
    if name == "shown":
        return shown()
    return placed(golden_file(f"{name}.jsonl").read_text(encoding="utf-8").splitlines())


def matched(lines: Iterable[Placed], policy: LotPolicy) -> tuple[list[Slice], UsRun]:
    """Return our own slices, and the run that has what is left."""
    run = UsRun(policy)
    slices = [one for line in lines for one in run.feed(line)]
    slices += run.finish()
    assert [] == run.open_items()
    return slices, run


def ran(*command: str, home: Path | None = None) -> str:
    """Return what a program printed; it has to end well."""
    environment = {**os.environ, **({"HOME": str(home)} if home else {})}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=home, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


@hledger_needed
@pytest.mark.parametrize("name", ["shown", "arb-1", "arb-2", "arb-3"])
def test_hledger_finds_every_transaction_balanced_and_every_assertion_true(name: str, tmp_path: Path) -> None:
    """Pass hledger's own check, which balances each transaction and tests the balances at the end."""
    path = tmp_path / "out.journal"
    write_text(journal(history(name), Losses()), path)

    assert "" == ran("hledger", "-f", str(path), "check")


@hledger_needed
def test_hledger_sees_a_balance_that_was_changed(tmp_path: Path) -> None:
    """Fail the same check when one unit of the last decimal is added to an assertion."""
    path = tmp_path / "out.journal"
    write_text(journal(shown(), Losses()), path)
    path.write_text(path.read_text().replace('= 8.995200000000000001 "ETH"', '= 8.995200000000000002 "ETH"'))

    done = subprocess.run(["hledger", "-f", str(path), "check"], capture_output=True, text=True, check=False)

    assert 0 != done.returncode
    assert "8.995200000000000002" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("shown", LotMethod.FIFO),
        ("arb-2", LotMethod.LIFO),
        ("arb-2", LotMethod.HIFO),
        ("arb-3", LotMethod.FIFO),
    ],
)
def test_beancount_has_our_balances_lots_and_gains(name: str, method: LotMethod, tmp_path: Path) -> None:
    """Load without an error, and agree with our gain to 1e-9, what is left and its cost in every account."""
    policy = LotPolicy(method=method)
    lines = history(name)
    slices, run = matched(lines, policy)
    path = tmp_path / "out.beancount"
    write_text(ledger(lines, Matching(policy, "UTC")), path)

    made = json.loads(ran(program("python"), str(SCRIPTS / "beancount_file.py"), str(path)))

    assert [] == made["errors"]
    gain = -sum(Decimal(number) for account, number in made["units"].items() if account.startswith("Income:Gain"))
    assert abs(gain - sum(one.proceeds - one.basis for one in slices)) < Decimal("1e-9")
    assert abs(Decimal(made["units"].get("Equity:Conversion USD", "0"))) < Decimal("1e-9")
    names = AccountNames()
    for line in lines:  # in the order in which the file names them
        for account in ("venue", "src", "dst"):
            if hasattr(line.line, account):
                names.of(getattr(line.line, account), "X")
    costs: dict[str, Decimal] = {}
    units: dict[str, Decimal] = {}
    for left in run.remaining():
        account = names.of(left.account, left.asset)
        costs[account] = costs.get(account, Decimal(0)) + left.basis
        units[account] = units.get(account, Decimal(0)) + left.qty
    loaded = {account: Decimal(cost) for account, cost in made["costs"].items()}
    assert [] == [one for one in costs if abs(costs[one] - loaded[one]) > Decimal("1e-9")]
    assert [] == [one for one in loaded if abs(loaded[one]) > Decimal("1e-9") and one not in costs]
    held = {key.split(" ")[0]: Decimal(number) for key, number in made["units"].items()}
    assert units == {account: held[account] for account in units}
    assert IN_TRANSIT not in costs


@pytest.mark.parametrize(
    ("name", "method"),
    [("arb-1", LotMethod.LOFO), ("arb-2", LotMethod.FIFO), ("arb-2", LotMethod.HIFO), ("arb-3", LotMethod.LIFO)],
)
def test_rp2_reads_the_spreadsheet_and_finds_our_gains(name: str, method: LotMethod, tmp_path: Path) -> None:
    """Agree with RP2's gain of every disposal to a cent and of the history to 1e-4, in one pool over all accounts."""
    policy = LotPolicy(method=method, pool=Pool.UNIVERSAL)
    lines = history(name)
    slices, _ = matched(lines, policy)
    ours: dict[str, Decimal] = {}
    for one in slices:
        if one.why is not Why.WITHHELD:  # netted
            key = one.disposal.removesuffix(":fee") if one.why is Why.TRANSFER_FEE else one.disposal
            ours[key] = ours.get(key, Decimal(0)) + one.proceeds - one.basis
    sheets = Sheets(Losses())
    sheets.add(Matching(policy, "UTC").each(lines))
    ods, ini = tmp_path / "out.ods", tmp_path / "out.ini"
    with ods.open("wb") as file:
        write_spreadsheet(file, sheets.tables(), WIDTH)
    ini.write_text(sheets.ini())

    said = ran(program("python"), str(SCRIPTS / "rp2_file.py"), str(ini), str(ods), method.value, home=tmp_path)
    theirs = {key: Decimal(gain) for key, gain in json.loads(said).items()}

    assert sorted(ours) == sorted(theirs)
    if method is not LotMethod.HIFO:  # RP2 orders HIFO by spot price, which is the unit basis only before rounding
        assert [] == [key for key in ours if abs(ours[key] - theirs[key]) > Decimal("0.01")]
    assert abs(sum(ours.values()) - sum(theirs.values())) < Decimal("0.0001")


def test_bittytax_reads_the_records_without_asking_for_a_price(tmp_path: Path) -> None:
    """Agree with the net gain of each tax year to the pennies that BittyTax rounds each disposal to."""
    bittytax = program("bittytax")
    settings = tmp_path / ".bittytax"
    settings.mkdir()
    (settings / "bittytax.conf").write_text(BITTYTAX_CONF)
    lines = [
        one._replace(line=msgspec.structs.replace(one.line, fx=one.line.fx or {"GBP": Decimal("0.78")}))
        for one in history("arb-1")
    ]
    write_table(TABLES["bittytax"], lines, tmp_path / "records.csv", Losses())
    cases = json.loads(golden_file("arb.json").read_text(encoding="utf-8"))["cases"]
    expected = next(case for case in cases if case["file"] == "arb-1.jsonl")["expected"]["uk_net_gain"]

    said = ran(bittytax, "records.csv", "--nopdf", "--skipint", home=tmp_path)

    assert "Not available*" not in said
    gains = {}
    for year in said.split("Tax Year - ")[1:]:
        totals = re.findall(r"^Total +£-?[\d,.]+ +£-?[\d,.]+ +£-?[\d,.]+ +£(-?[\d,.]+)", year, re.MULTILINE)
        if totals:
            gains[year[:7].replace("/", "/20")] = Decimal(totals[0].replace(",", ""))
    assert sorted(expected) == sorted(gains)
    assert [] == [year for year in gains if abs(gains[year] - Decimal(expected[year])) > Decimal("0.2")]
