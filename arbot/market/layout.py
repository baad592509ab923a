"""Where everything lies in the one int64 array that holds all books. One array, because each costs 0.1 us per call.

    [ globals and scratch | one head per book, HEAD_WIDTH words | level storage: per book bid keys, bid qtys, ask keys,
      ask qtys | the tee: what the books took in since it was last drained, no words when it is off ]

Prices and quantities are integers at the instrument's price_decimals and qty_decimals. A level's key is the price for
bids and minus the price for asks, so that on both sides keys ascend and the best level is the last. A side occupies
[START, END) of its CAPACITY words: dropping the worst levels is START += n, and changes near the best move few words.
Rates are integers in PPT (10**-12), rounded so that the screen wakes rather too often.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.int64]
"""The array of all books, a frame parser's workspace, or levels on their way into a book."""

EDGE_MIN_PPT = 0  # global: least net edge worth waking for
TEE_AT = 1  # global: next free word of the tee, 0 = off
TEE_START = 2  # global: first word of the tee
TEE_END = 3  # global: the word behind it
TEE_LOST = 4  # global: messages that found no room since the last drain; after the first nothing more is taken
TEE_LOST_TS = 5  # global: when the first of them was received
TEE_SEQ = 6  # global: number of the last event the engine took, told by whoever records
TEE_RECV_TS = 7  # global: the newest receive time anybody told
TEXT = 8  # global: scratch for the text a checksum is made of, at most 20 levels of 36 digits and 16 bytes
HEADS = 104  # first word of the first head
HEAD_WIDTH = 24

# words of a head
DEPTH = 0  # levels kept per side; 0 = all
SYNCED = 1  # 1 = a snapshot was applied and the book has not been dropped since
VALID = 2  # 1 = synced, integrity checked, both sides present, bid < ask
RECV_TS = 3
VENUE_TS = 4
PRICE_DECIMALS = 5
QTY_DECIMALS = 6
PRICE_UNIT = 7  # 10**price_decimals
TAKER_PPT = 8  # 0 until the rate is known
VENUE = 9  # number of the venue: books of one venue make no route
NEXT = 10  # index of the next book of the same base asset, a ring
QUOTE = 11  # number of the quote asset: an edge between unlike quotes is only an apparent one
BIDS = 12  # words of the bid side
ASKS = 16  # words of the ask side
TEE_DAY = 20  # UTC day (from 1) of the newest message the tee has of the book; 0 = none, the next one is taken whole
UPDATES = 21  # updates and snapshots taken in since the start; never falls
CHECKSUMS = 22  # of those, how many the venue's own checksum confirmed
DELAY = 23  # receipt less the venue's time of the newest of them, in ns; DELAY_UNKNOWN where that says nothing

# words of a side
KEYS = 0  # offset of the keys in the array; the quantities follow after CAPACITY words
CAPACITY = 1
START = 2
END = 3

PPT_DECIMALS = 12
DELAY_UNKNOWN = -(1 << 62)
