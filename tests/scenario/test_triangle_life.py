"""What becomes of an arb with a conversion when any of its three legs does anything."""

from __future__ import annotations

import pytest

from tests.support.triangle_world import BUYING, SELLING, played

BOUGHT = {
    "all three fill and both assets are flat but for the fee in bitcoin": """
kraken   filled 1 @0.05 fee 0.00005 BTC
coinbase filled 1 @101.0 fee 0.101 USD
bitstamp filled 0.05 @2000 fee 0.1 USD    -> flat 0.699 foreign -0.00005
""",
    "a rejected conversion is tried again where it was meant to be": """
kraken   filled 1 @0.05
coinbase filled 1 @101.0
bitstamp rejected other                   -> bitstamp buy 0.05 @2003 hedge
bitstamp filled 0.05 @2001                -> flat 0.95
""",
    "a conversion whose price ran away is done at what the book gives, within the loss": """
kraken   filled 1 @0.05
coinbase filled 1 @101.0
bitstamp book bid 2050x5 ask 2051x5       -> declined cool_down
bitstamp expired                          -> bitstamp buy 0.05 @2054 unwind
bitstamp filled 0.05 @2051                -> flat -1.55
""",
    "a rejected bitcoin leg is done again, because that brings both assets down": """
coinbase filled 1 @101.0
bitstamp filled 0.05 @2000
kraken   rejected other                   -> kraken buy 1 @0.05 hedge
kraken   filled 1 @0.05                   -> flat 1
""",
    "refused twice, ether and bitcoin are unwound each where it came from, at once": """
coinbase filled 1 @101.0
bitstamp filled 0.05 @2000
kraken   rejected other                   -> kraken buy 1 @0.05 hedge
kraken   rejected other                   -> coinbase buy 1 @101.3 unwind; bitstamp sell 0.05 @1997 unwind
coinbase filled 1 @101.2
bitstamp filled 0.05 @1999                -> flat -0.25
""",
    "a rejected dollar leg is tried again, then unwound into bitcoin, and the bitcoin after it": """
kraken   filled 1 @0.05
bitstamp filled 0.05 @2000
coinbase rejected other                   -> coinbase sell 1 @100.9 hedge
coinbase rejected other                   -> kraken sell 1 @0.0499 unwind
kraken   filled 1 @0.0499                 -> bitstamp sell 0.049 @1997 unwind
bitstamp filled 0.049 @1999               -> flat -0.249 foreign 0.0009
""",
    "a first leg alone is completed by the two others": """
kraken   filled 1 @0.05
bitstamp rejected other
coinbase rejected other                   -> coinbase sell 1 @100.9 hedge; bitstamp buy 0.05 @2003 hedge
coinbase filled 1 @101.0
bitstamp filled 0.05 @2000                -> flat 1
""",
    "a dollar leg alone is completed by the two others, the bitcoin after its leg": """
coinbase filled 1 @101.0
bitstamp rejected other
kraken   rejected other                   -> kraken buy 1 @0.05 hedge
kraken   filled 1 @0.05                   -> bitstamp buy 0.05 @2003 hedge
bitstamp filled 0.05 @2000                -> flat 1
""",
    "a conversion alone is turned back": """
bitstamp filled 0.05 @2000
coinbase rejected other
kraken   rejected other                   -> bitstamp sell 0.05 @1997 unwind
bitstamp filled 0.05 @1999                -> flat -0.05
""",
    "nothing filled is a missed arb": """
kraken   expired
bitstamp expired
coinbase expired                          -> missed
""",
    "nothing is hedged while one leg is in doubt": """
kraken   filled 1 @0.05
coinbase rejected other
bitstamp unknown                          -> bitstamp query
bitstamp reported filled 0.05             -> bitstamp query
bitstamp filled 0.05 @2000                -> coinbase sell 1 @100.9 hedge
""",
    "part fills leave a part of each asset": """
kraken   filled 0.4 @0.05
kraken   expired
bitstamp filled 0.05 @2000
coinbase filled 1 @101.0                  -> kraken buy 0.6 @0.05 hedge
kraken   filled 0.6 @0.05                 -> flat 1
""",
    "a fill of the conversion after the end reopens the arb": """
kraken   expired
bitstamp expired
coinbase expired                          -> missed
bitstamp filled 0.05 @2000                -> bitstamp sell 0.05 @1997 unwind; orphan
bitstamp filled 0.05 @1999                -> flat -0.05
""",
    "a fill of the bitcoin leg after the end opens both assets": """
kraken   expired
bitstamp expired
coinbase expired                          -> missed
kraken   filled 1 @0.05                   -> coinbase sell 1 @100.9 hedge; bitstamp buy 0.05 @2003 hedge; orphan
""",
    "a cancel that overtakes its fills waits for them": """
kraken   filled 1 @0.05
coinbase filled 1 @101.0
bitstamp reported canceled 0.02           -> bitstamp query
bitstamp filled 0.02 @2000                -> bitstamp buy 0.03 @2003 hedge
bitstamp filled 0.03 @2000                -> flat 1
""",
    "a conversion that the venue takes back is done again": """
kraken   filled 1 @0.05
coinbase filled 1 @101.0
bitstamp filled 0.05 @2000                -> flat 1
bitstamp busted                           -> bitstamp buy 0.05 @2003 hedge; orphan
bitstamp filled 0.05 @2000                -> flat 1
""",
    "a fee in ether counts in ether and what no venue takes is carried": """
kraken   filled 1 @0.05 fee 0.01 ETH
coinbase filled 1 @101.0
bitstamp filled 0.05 @2000                -> flat -0.005 carry -0.01
""",
    "a fee in bitcoin on the dollar leg counts in bitcoin": """
kraken   filled 1 @0.05
coinbase filled 1 @101.0 fee 0.0005 BTC
bitstamp filled 0.05 @2000                -> flat 0 foreign -0.0005
""",
    "a fee in bitcoin that a venue would take is bought back": """
kraken   filled 1 @0.05
coinbase filled 1 @101.0 fee 0.002 BTC
bitstamp filled 0.05 @2000                -> bitstamp buy 0.002 @2003 hedge
bitstamp filled 0.002 @2000               -> flat -3
""",
    "a fee in dollars on the bitcoin leg is a cost and opens nothing": """
kraken   filled 1 @0.05 fee 0.1 USD
coinbase filled 1 @101.0
bitstamp filled 0.05 @2000                -> flat 0.9
""",
    "a fee in a third asset without a price opens nothing": """
kraken   filled 1 @0.05 fee 5 KFEE
coinbase filled 1 @101.0
bitstamp filled 0.05 @2000                -> flat 1
""",
    "when nobody takes anything back both assets are stranded and nothing new opens": """
kraken   filled 1 @0.05
bitstamp rejected other
coinbase rejected other                   -> coinbase sell 1 @100.9 hedge; bitstamp buy 0.05 @2003 hedge
coinbase rejected other
bitstamp rejected other                   -> kraken sell 1 @0.0499 unwind
kraken   rejected other                   -> coinbase sell 1 @100.9 hedge; bitstamp buy 0.05 @2003 unwind
coinbase rejected other
bitstamp rejected other                   -> kraken sell 1 @0.0499 unwind
kraken   rejected other                   -> bitstamp buy 0.05 @2003 unwind
bitstamp rejected other                   -> bitstamp buy 0.05 @2003 unwind
bitstamp rejected other                   -> stranded 1 and -0.05 BTC
kraken   book bid 0.0499x20 ask 0.05x20   -> declined stranded
""",
    "seconds run out while no book can be trusted": """
kraken   filled 1 @0.05
kraken   silent
coinbase silent
bitstamp silent
wait 3s                                   -> coinbase query; bitstamp query
coinbase expired
bitstamp expired
wait 19s
wait 2s                                   -> stranded 1 and -0.05 BTC
""",
    "what is left of one asset is stranded by its own name": """
kraken   filled 1 @0.05
coinbase filled 1 @101.0
bitstamp rejected other                   -> bitstamp buy 0.05 @2003 hedge
bitstamp rejected other                   -> bitstamp buy 0.05 @2003 unwind
bitstamp rejected other                   -> bitstamp buy 0.05 @2003 unwind
bitstamp rejected other                   -> bitstamp buy 0.05 @2003 unwind
bitstamp rejected other                   -> stranded -0.05
operator flatten                          -> bitstamp buy 0.05 @2003 flatten
bitstamp filled 0.05 @2000                -> flat 1
""",
    "no order leaves that could lose more than the limit": """
bitstamp filled 0.05 @2000
coinbase book bid 44.0x1 ask 45.5x3       -> declined too_good_to_be_true
bitstamp book bid 700x5 ask 701x5         -> declined too_good_to_be_true
coinbase expired
kraken   expired                          -> refused hedge_loss
bitstamp book bid 1099x5 ask 1100x5       -> declined too_good_to_be_true
wait 250ms                                -> bitstamp sell 0.05 @1098 unwind
""",
    "halt leaves both assets to a person, who has them flattened": """
kraken   filled 1 @0.05
operator halt                             -> kraken cancel all; coinbase cancel all; bitstamp cancel all
coinbase canceled
bitstamp canceled                         -> stranded 1 and -0.05 BTC
operator flatten                          -> coinbase sell 1 @100.9 flatten; bitstamp buy 0.05 @2003 flatten
coinbase filled 1 @101.0
bitstamp filled 0.05 @2000                -> flat 1
""",
}
SOLD = {
    "all three fill and both assets are flat but for the fee in bitcoin": """
coinbase filled 1 @100.0 fee 0.1 USD
kraken   filled 1 @0.0505 fee 0.0000505 BTC
bitstamp filled 0.05 @2000 fee 0.1 USD    -> flat 0.699 foreign 0.0004495
""",
    "a rejected conversion is tried again where it was meant to be": """
coinbase filled 1 @100.0
kraken   filled 1 @0.0505
bitstamp rejected other                   -> bitstamp sell 0.05 @1997 hedge
bitstamp filled 0.05 @2000                -> flat 1 foreign 0.0005
""",
    "a rejected bitcoin leg is done again, because that brings both assets down": """
coinbase filled 1 @100.0
bitstamp filled 0.05 @2000
kraken   rejected other                   -> kraken sell 1 @0.0505 hedge
kraken   filled 1 @0.0505                 -> flat 1 foreign 0.0005
""",
    "refused twice, ether and bitcoin are unwound each where it came from, at once": """
coinbase filled 1 @100.0
bitstamp filled 0.05 @2000
kraken   rejected other                   -> kraken sell 1 @0.0505 hedge
kraken   rejected other                   -> coinbase sell 1 @99.7 unwind; bitstamp buy 0.05 @2004 unwind
coinbase filled 1 @99.8
bitstamp filled 0.05 @2001                -> flat -0.25
""",
    "a rejected dollar leg is tried again, then unwound into bitcoin, and the bitcoin after it": """
kraken   filled 1 @0.0505
bitstamp filled 0.05 @2000
coinbase rejected other                   -> coinbase buy 1 @100.1 hedge
coinbase rejected other                   -> kraken buy 1 @0.0506 unwind
kraken   filled 1 @0.0506                 -> bitstamp buy 0.05 @2004 unwind
bitstamp filled 0.05 @2001                -> flat -0.25 foreign -0.0001
""",
    "a dollar leg alone is completed by the bitcoin leg, and the bitcoin sold after it": """
coinbase filled 1 @100.0
bitstamp rejected other
kraken   rejected other                   -> kraken sell 1 @0.0505 hedge
kraken   filled 1 @0.0505                 -> bitstamp sell 0.05 @1997 hedge
bitstamp filled 0.05 @2000                -> flat 1 foreign 0.0005
""",
    "a bitcoin leg alone is completed by the two others": """
kraken   filled 1 @0.0505
bitstamp rejected other
coinbase rejected other                   -> coinbase buy 1 @100.1 hedge; bitstamp sell 0.05 @1997 hedge
coinbase filled 1 @100.0
bitstamp filled 0.05 @2000                -> flat 1 foreign 0.0005
""",
    "a conversion alone is turned back": """
bitstamp filled 0.05 @2000
coinbase rejected other
kraken   rejected other                   -> bitstamp buy 0.05 @2004 unwind
bitstamp filled 0.05 @2001                -> flat -0.05
""",
    "part fills leave a part of each asset": """
coinbase filled 1 @100.0
bitstamp filled 0.02 @2000
bitstamp expired
kraken   filled 0.4 @0.0505
kraken   expired                          -> kraken sell 0.6 @0.0505 hedge
kraken   filled 0.6 @0.0505               -> bitstamp sell 0.03 @1997 hedge
bitstamp filled 0.03 @2000                -> flat 1 foreign 0.0005
""",
    "a better price than the worst acceptable leaves bitcoin that is sold": """
coinbase filled 1 @100.0
kraken   filled 1 @0.0525
bitstamp filled 0.05 @2000                -> bitstamp sell 0.002 @1997 hedge
bitstamp filled 0.002 @2000               -> flat 5 foreign 0.0005
""",
    "a late fill of the bitcoin leg opens both assets": """
kraken   expired
bitstamp expired
coinbase expired                          -> missed
kraken   filled 1 @0.0505                 -> coinbase buy 1 @100.1 hedge; bitstamp sell 0.05 @1997 hedge; orphan
coinbase filled 1 @100.0
bitstamp filled 0.05 @2000                -> flat 1 foreign 0.0005
""",
}


@pytest.mark.parametrize("claim", BOUGHT)
def test_an_arb_that_buys_its_foreign_quote(claim: str) -> None:
    """Hold every claim after one ether was bought for bitcoin, sold for dollars, and the bitcoin bought for dollars."""
    played(BOUGHT[claim], BUYING)


@pytest.mark.parametrize("claim", SOLD)
def test_an_arb_that_sells_its_foreign_quote(claim: str) -> None:
    """Hold every claim after one ether was bought for dollars, sold for bitcoin, and the bitcoin sold for dollars."""
    played(SOLD[claim], SELLING)
