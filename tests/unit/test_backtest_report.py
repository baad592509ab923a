"""The report page and the words in the terminal: complete, escaped, and asking nobody for anything."""

from __future__ import annotations

import decimal
import json
import re
from dataclasses import dataclass, field
from decimal import Decimal
from html.parser import HTMLParser

import msgspec
import pytest

from arbot.backtest import words
from arbot.backtest.report import page
from arbot.backtest.report_charts import figures, thinned
from arbot.backtest.result import BestRow, Result, Scenario
from arbot.domain.decisions import Reason
from tests.support.backtest_results import START_NS, a_result

VOID = {"meta", "br", "link", "img", "input", "hr", "polyline"}
LOADS = {"src", "href", "srcset", "action", "data", "poster", "background", "xlink:href", "formaction", "ping"}


@dataclass
class Read(HTMLParser):
    """What a strict reader finds in a page: text, elements, attributes that would load something, unbalanced tags."""

    text: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    loads: list[tuple[str, str]] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in LOADS:
                self.loads.append((name, value or ""))
            if name == "id":
                self.ids.append(value or "")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self._open or self._open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            self.scripts.append(data)
        elif not (self._open and self._open[-1] == "style"):
            self.text.append(data)

    def ended(self) -> list[str]:
        """Return what was closed wrongly or never."""
        return [*self.wrong, *self._open]


def read(result: Result) -> Read:
    reader = Read()
    reader.feed(page(result))
    reader.close()
    return reader


@pytest.fixture(scope="module")
def many() -> Read:
    return read(a_result(300))


class TestPage:
    """The page as a file."""

    @pytest.mark.parametrize("arbs", [0, 1, 600])
    def test_is_whole_and_loads_nothing(self, arbs):
        """With no, one or many arbs the tags balance, nothing is loaded, and the policy forbids that anything is."""
        reader = read(a_result(arbs))
        assert ([], []) == (reader.ended(), reader.loads)
        assert not {"link", "img", "iframe", "object", "embed", "base"} & set(reader.tags)
        assert "default-src 'none'" in page(a_result(arbs))[:600]

    def test_own_style_and_script_name_no_address(self):
        """Apart from Plotly's own text, no address of any host is in the page."""
        whole = page(a_result(1))
        from plotly.offline import get_plotlyjs

        assert 1 == whole.count(get_plotlyjs())
        assert [] == re.findall(r"https?://|url\(|@import", whole.replace(get_plotlyjs(), ""))

    def test_texts_cannot_break_out(self):
        """Names, warnings and settings that are code appear as text."""
        evil = '<script>alert(1)</script><img src=x onerror="a()">\'"&'
        result = a_result(3, name=evil, warnings=(evil,))
        column = result.columns[1]
        nasty = msgspec.structs.replace(column.arbs[0], buy_venue=evil, symbol="</script><b>", state=evil)
        route = msgspec.structs.replace(column.routes[0], sell_venue=evil)
        decline = msgspec.structs.replace(column.declines[0], symbol=evil, reason=evil)
        sample = msgspec.structs.replace(column.samples[0], value_by_venue={"</script><script>alert(2)//": Decimal(1)})
        column = msgspec.structs.replace(
            column,
            arbs=(nasty,),
            routes=(route,),
            declines=(decline,),
            samples=(sample,),
            digest=evil,
            unpriced=(evil,),
        )
        result = msgspec.structs.replace(
            result, columns=(result.columns[0], column), settings={evil: evil}, ccy="U<b>SD", tapes=(evil,)
        )
        reader, plain = read(result), read(a_result(3))
        assert [] == reader.ended()
        assert [] == reader.loads
        assert plain.tags.count("script") == reader.tags.count("script")
        assert {"b", "img"} & set(reader.tags) <= set(plain.tags)
        assert evil in "".join(reader.text)

    def test_every_picture_has_its_place(self, many):
        """Each figure is drawn into an element that is there once, and each place has a figure."""
        drawn = json.loads(many.scripts[0])
        places = [name for name in many.ids if name != "figures"]
        assert sorted(drawn) == sorted(places)

    def test_every_headline_number_is_there(self, many):
        """Each cell of the headline of each column is in the page, as it is in the terminal."""
        result, text = a_result(300), "\n".join(many.text)
        terminal = "\n".join(words.summary_lines(result))
        for line in words.headline(result):
            assert line.name in text
            assert line.name in terminal
            for cell in line.cells:
                assert cell in text
                assert cell in terminal

    def test_arbs_beyond_500_are_counted_not_listed(self):
        """600 arbs in three columns are 1500 rows, and the page says how many there are in all."""
        reader = read(a_result(600))
        assert 3 == "".join(reader.text).count("500 of 600")

    def test_warnings_come_before_anything_else(self):
        """What the inspector found stands above the first figure."""
        whole = page(a_result(5, warnings=("kraken has 3 gaps",)))
        assert 0 < whole.index("kraken has 3 gaps") < whole.index("Net profit of arbs")

    @pytest.mark.parametrize("rounding", [decimal.ROUND_UP, decimal.ROUND_HALF_EVEN])
    def test_without_an_arb_the_page_says_what_stood_in_the_way(self, rounding):
        """Nothing opened: the best edge, its route and the reason are told in words, however others like to round."""
        with decimal.localcontext(decimal.Context(rounding=rounding)):
            text = "".join(read(a_result(0)).text)
        assert "The best net edge looked at was -3.2 bps: BTC/USD bought at kraken and sold at coinbase" in text
        assert words.reason("no_edge") in text
        assert "No route ever cleared fees" in text

    def test_without_a_decline_the_nearest_moment_is_told(self):
        """A replay that never had a reason to ask the engine still says how near the market came."""
        result = a_result(0)
        best = BestRow(
            buy_venue="kraken", sell_venue="coinbase", symbol="X/Y", edge_net_bps=Decimal("-12.34"), ts_ns=START_NS
        )
        columns = tuple(msgspec.structs.replace(one, declines=(), best_edges=(best,)) for one in result.columns)
        assert "was -12.3 bps: X/Y bought at kraken" in "".join(
            read(msgspec.structs.replace(result, columns=columns)).text
        )
        nothing = tuple(msgspec.structs.replace(one, declines=()) for one in result.columns)
        assert "no two venues ever had valid books" in "".join(
            read(msgspec.structs.replace(result, columns=nothing)).text
        )


class TestWords:
    """What is said about figures."""

    def test_every_reason_has_words(self):
        """No reason of the engine is told by its bare name."""
        assert sorted(reason.value for reason in Reason) == sorted(words.REASONS)

    @pytest.mark.parametrize(
        ("value", "text"),
        [("0", "0.00"), ("1234567.891", "1,234,567.89"), ("-0.5", "-0.50"), ("0.01234567", "0.01235"), ("-12", "-12.00"), ("0.00000000001", "0.00")],
    )  # fmt: skip
    def test_money_is_short_and_never_nothing(self, value, text):
        """Money has cents, small money has digits that count."""
        assert text == words.money(Decimal(value))

    def test_profit_per_day_is_the_profit_over_the_days(self):
        """Fourteen days of tape: a fourteenth of the net profit."""
        result = a_result(300)
        for column in result.columns:
            assert round(words.net(column) / 14, 10) == round(words.per_day(result, column), 10)

    def test_less_than_a_day_is_not_blown_up_to_one(self):
        """An hour of tape gives no profit per day."""
        result = a_result(300)
        short = msgspec.structs.replace(result.scanned, last_ts_ns=result.scanned.first_ts_ns + 3_600 * 10**9)
        lines = words.headline(msgspec.structs.replace(result, scanned=short))
        assert [("under a day",) * 3] == [line.cells for line in lines if "per day" in line.name]

    @pytest.mark.parametrize(
        ("edges", "arbs", "said"),
        [
            ((100, 60, 20), 100, "The arbs earned in every column"),
            ((100, 60, -1), 100, "The profit hangs on the assumptions"),
            ((100, -60, -80), 100, "does not earn its fees"),
            ((100, 20, 10), 100, "More than half of what the naive column shows"),
            ((100, 60, 20), 5, "Too few arbs to conclude anything from: 5."),
        ],
    )
    def test_the_sentence_fits_the_columns(self, edges, arbs, said):
        """What is said follows from the sign and size of the three columns."""
        result = a_result(arbs)
        columns = tuple(
            msgspec.structs.replace(
                column,
                split=msgspec.structs.replace(
                    column.split, edge=Decimal(edge), slippage=Decimal(0), unwinds=Decimal(0), fees=Decimal(0),
                    transfer_costs=Decimal(0), inventory_moved=Decimal(0),
                ),
            )
            for column, edge in zip(result.columns, edges, strict=True)
        )  # fmt: skip
        assert any(said in line for line in words.meaning(msgspec.structs.replace(result, columns=columns)))

    def test_gaps_that_stay_and_ledgers_that_differ_are_told(self):
        """An edge that never closes, an asset without price and a ledger that differs each have their sentence."""
        result = a_result(300)
        column = result.columns[1]
        worse = msgspec.structs.replace(
            column,
            split=msgspec.structs.replace(column.split, inventory_moved=Decimal(-600)),
            unpriced=("DOGE at kraken",),
            ledger_matches_venues=False,
        )
        said = " ".join(words.meaning(msgspec.structs.replace(result, columns=(worse,))))
        assert "take back 600.00 USD" in said
        assert "DOGE at kraken" in said
        better = msgspec.structs.replace(
            worse, split=msgspec.structs.replace(worse.split, inventory_moved=Decimal(600))
        )
        assert "it is not earned" in " ".join(words.meaning(msgspec.structs.replace(result, columns=(better,))))
        assert "do not believe its money" in said


class TestCharts:
    """Figures as data."""

    def test_a_column_that_stopped_says_when(self):
        """After a stranded arb nothing is opened: the words say from when on, for that column only."""
        result = a_result(40)
        first, *others = result.columns
        rows = (*first.arbs[:9], msgspec.structs.replace(first.arbs[9], state="stranded"), *first.arbs[10:])
        stopped = msgspec.structs.replace(result, columns=(msgspec.structs.replace(first, arbs=rows), *others))
        (said,) = set(words.meaning(stopped)) - set(words.meaning(result))
        assert said.startswith(f"The naive column stopped at {words.moment(rows[9].opened_ts_ns)} UTC")
        assert "execution.hedge_seconds_max" in said

    def test_lines_are_thinned_without_losing_extremes(self):
        """A hundred thousand points become at most 1200, with the one peak and the one dip among them."""
        points = [(float(x), 5.0 if x == 77_777 else -5.0 if x == 33_333 else 0.0) for x in range(100_000)]
        shown = thinned(points)
        assert len(shown) <= 1_200
        assert {(77_777.0, 5.0), (33_333.0, -5.0), points[0], points[-1]} <= set(shown)
        assert sorted(shown) == shown

    def test_the_waterfall_ends_at_the_arbs_own_result(self):
        """The steps drawn add up to net profit, then gaps left behind."""
        result = a_result(40)
        column = result.columns[1]
        bars = figures(result)[f"split-{Scenario.REALISTIC}"]["data"][0]
        assert pytest.approx(float(words.net(column) + column.split.inventory_moved)) == sum(bars["x"])
        assert words.money(words.net(column)) == bars["text"][5]
