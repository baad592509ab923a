"""The ledger against a naive sum, over random fills with duplicates, reversals, rebates and fees in any asset."""

from __future__ import annotations

import decimal
from collections import defaultdict
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from arbot.domain.order import Side
from arbot.domain.units import Amount
from tests.support.accounting import Scribe, a_fill

amounts = st.decimals(min_value=Decimal("0.00000001"), max_value=Decimal(10**9), places=8)
fees = st.builds(
    Amount,
    st.decimals(min_value=Decimal(-100), max_value=Decimal(100), places=18),
    st.sampled_from(["BTC", "USD", "BNB"]),
)
fills = st.builds(
    a_fill,
    venue=st.sampled_from(["kraken", "coinbase"]),
    venue_order_id=st.sampled_from(["O-1", "O-2"]),
    trade_id=st.sampled_from(["T-1", "T-2", "T-3"]),
    side=st.sampled_from(Side),
    qty=amounts,
    price=amounts,
    fee=fees,
    is_reversal=st.booleans(),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(fills, max_size=40))
def test_balances_are_the_sum_of_distinct_fills(drawn):
    """Every venue's balances equal base and quote deltas of the first fill of each identity, fees taken off, exactly."""
    scribe = Scribe()
    expected: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    seen = set()
    with decimal.localcontext(decimal.Context(prec=200)):
        for fill in drawn:
            identity = (fill.venue, fill.venue_order_id, fill.trade_id, fill.is_reversal)
            record = scribe.filled(**{name: getattr(fill, name) for name in fill.__struct_fields__})
            assert (identity not in seen) == bool(record.transactions)
            if identity in seen:
                continue
            seen.add(identity)
            expected[f"assets:{fill.venue}", "BTC"] += fill.base_delta
            expected[f"assets:{fill.venue}", "USD"] += fill.quote_delta
            if fill.fee.asset == "BNB":
                expected[f"assets:{fill.venue}", "BNB"] -= fill.fee.number
            sums: dict[str, Decimal] = defaultdict(Decimal)
            for posting in record.transactions[0].postings:
                sums[posting.asset] += posting.number
            assert not any(sums.values())
    found = {(account, asset): number for account, asset, number in scribe.ledger.balances()}
    assert {key: number for key, number in expected.items() if number} == {
        key: number for key, number in found.items() if key[0].startswith("assets:")
    }


@settings(max_examples=100, deadline=None)
@given(st.lists(fills, max_size=40), st.randoms(use_true_random=False))
def test_the_books_always_balance(drawn, chance):
    """Over all accounts every asset sums to zero, whatever comes, however often."""
    scribe = Scribe()
    for fill in [*drawn, *chance.sample(drawn, len(drawn) // 2)]:
        scribe.filled(**{name: getattr(fill, name) for name in fill.__struct_fields__})
    with decimal.localcontext(decimal.Context(prec=200)):
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for _, asset, number in scribe.ledger.balances():
            sums[asset] += number
        assert not any(sums.values())
