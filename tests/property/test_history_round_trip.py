"""Any history survives being written, read, imported and exported; and what it comes to does not depend on the path."""

from __future__ import annotations

from decimal import Decimal, localcontext

from hypothesis import given
from hypothesis import strategies as st

from arbot.domain.history import (
    DepositLine,
    FillLine,
    IncomeLine,
    OpeningLine,
    Placed,
    SpendLine,
    TransferLine,
    WithdrawalLine,
    format_ts,
    parse_ts,
)
from arbot.domain.units import EXACT
from arbot.ledger.history.balances import BalanceWatch
from arbot.ledger.history.posting import sums
from arbot.ledger.history.reading import LineReader, head_of, is_same
from arbot.ledger.history.writing import canonical

FROM_NS, TO_NS = parse_ts("2009-02-01T00:00:00Z"), parse_ts("2100-01-01T00:00:00Z")
COINS = st.sampled_from(("BTC", "ETH", "1INCH", "USDT"))
CASH = st.sampled_from(("USD", "EUR"))
ACCOUNTS = st.sampled_from(("kraken", "binance.sub1", "wallet_cold-2"))
POSITIVE = st.decimals(min_value=Decimal("1e-18"), max_value=Decimal(10) ** 15, places=18)
SIGNED = st.decimals(min_value=-(Decimal(10) ** 12), max_value=Decimal(10) ** 12, places=18)
WORDS = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
IDS = WORDS.filter(lambda text: text and not text.endswith((":fee", ":rebate")))
TIMES = st.integers(FROM_NS, TO_NS).map(format_ts)
PX = st.fixed_dictionaries(dict.fromkeys(("BTC", "ETH", "1INCH", "USDT", "EUR"), POSITIVE))
COMMON = {
    "id": IDS,
    "ts": TIMES,
    "px": PX,
    "fx": st.dictionaries(st.just("GBP"), POSITIVE),
    "px_src": st.dictionaries(WORDS, WORDS, max_size=2),
    "note": WORDS,
}


def a_transfer(parts):
    """Return a transfer whose amounts fit, arriving later or not yet."""
    common, asset, (src, dst), received, fee, hours = parts
    arrives = None if hours is None else format_ts(parse_ts(common["ts"]) + hours * 3_600 * 10**9)
    return TransferLine(
        **common,
        ts_in=arrives,
        src=src,
        dst=dst,
        asset=asset,
        sent=EXACT.add(received, fee),
        received=received,
        fee=fee,
    )


LINES = st.one_of(
    st.builds(DepositLine, **COMMON, venue=ACCOUNTS, asset=CASH, amount=POSITIVE),
    st.builds(WithdrawalLine, **COMMON, venue=ACCOUNTS, asset=CASH, amount=POSITIVE),
    st.builds(
        OpeningLine, **COMMON, venue=ACCOUNTS, asset=COINS, amount=POSITIVE, basis=POSITIVE,
        acquired=st.just("2009-01-10T00:00:00Z"), allocation=st.sampled_from(("", "specific", "global")),
    ),
    st.builds(
        FillLine, **COMMON, venue=ACCOUNTS, symbol=st.just("BTC/USDT"), base=st.just("BTC"), quote=st.just("USDT"),
        side=st.sampled_from(("buy", "sell")), amount=POSITIVE, price=POSITIVE, cost=POSITIVE, fee=SIGNED, fee_ccy=COINS,
        order_id=WORDS,
    ),
    st.tuples(
        st.fixed_dictionaries(COMMON), COINS, st.permutations(("kraken", "binance.sub1", "wallet_cold-2")).map(lambda p: p[:2]),
        POSITIVE, POSITIVE, st.none() | st.integers(0, 400),
    ).map(a_transfer),
    st.builds(
        IncomeLine, **COMMON, venue=ACCOUNTS, asset=COINS, amount=POSITIVE, why=st.sampled_from(("interest", "airdrop"))
    ),
    st.builds(SpendLine, **COMMON, venue=ACCOUNTS, asset=COINS, amount=POSITIVE, why=st.sampled_from(("fee", "funding"))),
)  # fmt: skip


@given(LINES)
def test_text_and_value_are_one(line):
    """A line written and read is the same line, in the same text, with the same id and instant."""
    text = canonical(line)
    reader = LineReader("h", until_ns=TO_NS)
    found = reader.feed(f"{text}\n".encode())
    assert [] == reader.mistakes
    assert (text, line) == (found.text, found.line)
    assert (found.kind, line.id, parse_ts(line.ts)) == head_of(text)
    assert is_same(text, text.replace('", "', '",  "'))


@given(st.lists(LINES, max_size=12), st.integers(1, 5))
def test_sums_are_zero_and_the_same_in_parts(lines, size):
    """Postings of any history sum to zero per asset, however it is cut, and say what every account holds at the end."""
    ordered = sorted(lines, key=lambda line: parse_ts(line.ts))
    whole = {(one.account, one.asset): one.number for one in sums(ordered)}
    parts: dict = {}
    for start in range(0, len(ordered), size):
        for one in sums(ordered[start : start + size]):
            key = (one.account, one.asset)
            parts[key] = EXACT.add(parts.get(key, Decimal(0)), one.number)
    assert whole == {key: number for key, number in parts.items() if number}
    for asset in {asset for _, asset in whole}:
        total = Decimal(0)
        for (_, other), number in whole.items():
            total = EXACT.add(total, number) if other == asset else total
        assert 0 == total
    watch = BalanceWatch()
    with localcontext(EXACT):
        for seq, line in enumerate(ordered):
            watch.feed(Placed(line, parse_ts(line.ts), seq))
        watch.finish()
    held = {
        (name.removeprefix("assets:"), asset): n for (name, asset), n in whole.items() if name.startswith("assets:")
    }
    if not any(isinstance(line, OpeningLine) and line.allocation for line in lines):  # of units that are there already
        assert held == watch.balances()
