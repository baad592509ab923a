"""A bundle beside what brokers reported: map, match, rows, lines without rows, refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from arbot.domain.errors import UserError
from arbot.tax.bundle.report import Refused, write_report
from tests.support.bundle_world import Told, asked, sheet

PRICED = {"venue": "kraken", "order_id": "O"}
LINES = [
    {"kind": "deposit", "id": "D1", "ts": "2025-01-02T00:00:00Z", "venue": "kraken", "asset": "USD", "amount": "20000"},
    {
        "kind": "fill", "id": "kraken:T1", "ts": "2025-02-03T10:00:00Z", "symbol": "BTC/USD", "base": "BTC", "quote": "USD",
        "side": "buy", "amount": "0.1", "price": "96000", "cost": "9600", "fee": "39", "fee_ccy": "USD",
        "px": {"BTC": "96000"}, **PRICED,
    },
    {
        "kind": "fill", "id": "kraken:T2", "ts": "2025-05-06T15:00:00Z", "symbol": "BTC/USD", "base": "BTC", "quote": "USD",
        "side": "sell", "amount": "0.04", "price": "95000", "cost": "3800", "fee": "10", "fee_ccy": "USD",
        "px": {"BTC": "95000"}, **PRICED,
    },
    {
        "kind": "fill", "id": "kraken:T3", "ts": "2025-05-07T15:00:00Z", "symbol": "BTC/USD", "base": "BTC", "quote": "USD",
        "side": "sell", "amount": "0.05", "price": "95000", "cost": "4750", "fee": "10", "fee_ccy": "USD",
        "px": {"BTC": "95000"}, **PRICED,
    },
]  # fmt: skip
MAP = """
account = "kraken"
[columns]
"Trade" = "sale id"
"TIN" = ""
[assets]
"Bitcoin" = "BTC"
"""
HEADER = "Trade,TIN,1b,1c,1e,1f,1g,applicable checkbox"
NET_AND_RIGHT = "T2,1,Bitcoin,0.04,05/06/2025,3790.00,3855.60,G"
GROSS = "T3,1,Bitcoin,0.05,05/07/2025,4750.00,,H"


def written(tmp_path: Path, *rows: str, text: str = MAP, **words: object) -> Path:
    """Return the folder of a bundle made beside a broker's file of these rows."""
    forms, form_map, out = tmp_path / "da.csv", tmp_path / "map.toml", tmp_path / "out"
    forms.write_text("\n".join([HEADER, *rows]), "utf-8")
    form_map.write_text(text, "utf-8")
    write_report(Told(LINES), asked(**words), out, forms, form_map)
    return out


def test_what_brokers_reported_decides_boxes_and_codes(tmp_path: Path) -> None:
    """A right row needs no code; gross proceeds are entered as on the form, and the fee is adjusted by code E."""
    rows = sheet(written(tmp_path, NET_AND_RIGHT, GROSS), "form8949.csv")

    expected = [
        ("G", "0.04 BTC, T2", "3790.00", "3855.60", "", "0.00", "-65.60"),
        ("H", "0.05 BTC, T3", "4750.00", "4819.50", "E", "-10.00", "-79.50"),
    ]
    columns = ("box", "description", "proceeds", "cost_basis", "code", "adjustment", "gain")
    assert expected == [tuple(row[column] for column in columns) for row in rows]


def test_sales_that_need_no_correction_may_go_without_rows(tmp_path: Path) -> None:
    """Line 1a has the total of the right one; the other keeps its row."""
    out = written(tmp_path, NET_AND_RIGHT, GROSS, is_total_enough=True)

    assert ["kraken:T3"] == [row["disposal_id"] for row in sheet(out, "form8949.csv")]
    assert [("1a", "1"), ("2", "1")] == [(row["line"], row["rows"]) for row in sheet(out, "schedule-d.csv")]


def test_a_statement_ends_with_the_row_that_stands_for_it(tmp_path: Path) -> None:
    """In whole dollars the total is the sum of cents rounded once: 8,675 where the rows printed add up to 8,676."""
    lines = [NET_AND_RIGHT.replace("3855.60,G", ",H"), GROSS]
    out = written(tmp_path, *lines, is_in_whole_dollars=True)
    statement = (out / "statements" / "H-kraken.csv").read_text("utf-8").splitlines()
    (summary,) = sheet(out, "form8949-summary.csv")

    rows = [
        '"0.04 BTC, T2",02/03/2025,05/06/2025,3790,3856,,,-66',
        '"0.05 BTC, T3",02/03/2025,05/07/2025,4750,4820,E,-10,-80',
    ]
    assert [*rows, "Total,,,8540,8675,,-10,-145"] == statement[1:]
    columns = ("proceeds", "cost_basis", "code", "adjustment", "gain")
    assert ("8540", "8675", "EM", "-10", "-145") == tuple(summary[column] for column in columns)


def test_a_row_without_a_sale_keeps_the_bundle_back(tmp_path: Path) -> None:
    """Nothing is written until the row is settled or accepted by its code."""
    odd = NET_AND_RIGHT.replace("T2", "T9").replace("0.04", "0.4")
    with pytest.raises(Refused) as refused:
        written(tmp_path, odd)

    assert ["form_1099da_unmatched"] == [item.code for item in refused.value.items]
    assert not (tmp_path / "out").exists()
    assert ["I", "I"] == [
        row["box"] for row in sheet(written(tmp_path, odd, accept=("form_1099da_unmatched",)), "form8949.csv")
    ]


@pytest.mark.parametrize("text", ["account = 1", "acount = 'kraken'", "[columns", "[assets]\nBTC = 1"])
def test_a_wrong_map_is_refused(tmp_path: Path, text: str) -> None:
    """What is no map is named with its file and what to write."""
    with pytest.raises(UserError, match=r"--form-1099da-map .*map\.toml"):
        written(tmp_path, NET_AND_RIGHT, text=text)
