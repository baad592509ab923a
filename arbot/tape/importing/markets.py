"""Which market a source means: the venue in small letters, BASE/QUOTE, and whether it is spot or a derivative.

Rules: what the person says (--venue, --symbol, --market, --contract-size) wins over what the source says, which wins
over the tables below. A name that reads two ways is refused, never guessed. Derivatives keep the currency they settle
in behind a colon ("DOGE/USD:DOGE"), so that nobody takes one for the spot market of the same name.
"""

from __future__ import annotations

import re
from functools import cache

import msgspec

from arbot.tape.importing.contract import Finding, Options, SeriesKey, Severity, Source
from arbot.tape.importing.text import refused
from arbot.tape.schema import Market

FIELD_NAMES = {"XBT": "BTC", "XDG": "DOGE"}
"""Kraken's and BitMEX's names of assets that everybody else calls otherwise."""

QUOTES = (
    "FDUSD", "USDT", "USDC", "BUSD", "TUSD", "GUSD", "PYUSD", "RLUSD", "USDP", "EURC", "USD", "EUR", "GBP", "JPY",
    "CHF", "AUD", "CAD", "TRY", "BRL", "KRW", "DAI", "BTC", "XBT", "ETH", "BNB",  # parity-ok: endings of names
)  # fmt: skip
BASES = frozenset(
    {"BTC", "XBT", "ETH", "SOL", "XRP", "DOGE", "XDG", "LTC", "BCH", "ADA", "BNB", "AVAX", "DOT", "LINK", "TRX"}
    | {"EUR", "GBP", "MATIC", "SHIB", "UNI", "ATOM", "XLM", "ETC", "FIL", "ARB", "OP", "APT", "SUI"}
    | {"USDT", "USDC"}  # parity-ok: names only
)
"""Bases that decide between two readings of one name, such as BTC/BUSD against BTCB/USD."""

NO_SPOT = frozenset({("binance", "USD")})
"""Venues that list no spot market in a quote currency: a plain BASE/QUOTE there is a coin-margined contract."""

CONTRACT_SIZES = {
    ("binance", "BTC", "USD"): "100 USD",
    ("binance", "ETH", "USD"): "10 USD",
    ("binance", "DOGE", "USD"): "10 USD",
    ("okx", "DOGE", "USD"): "10 USD",
}
"""Value of one inverse contract, (venue, base, quote) -> size. Sources: the venues' contract specifications
(binance.com, COIN-M Futures: 100 USD for BTC, 10 USD for the others named here; okx.com, DOGEUSD perpetual), 2026-11."""

DERIVATIVE = re.compile(r"^(?P<pair>.+?)[-_](PERP|SWAP|PERPETUAL)$")


class Unreadable(Exception):
    """A symbol reads in no way, or in several; never leaves this package: callers turn it into Refused."""


@cache
def pair_of(native: str) -> tuple[str, str]:
    """Return (base, quote) of "BTC/USD", "BTC-USD", "btc_usd" or "BTCUSD". Raises: Unreadable."""
    text = native.upper()
    parts = re.split(r"[/\-_]", text)
    if len(parts) == 2 and all(parts):
        return FIELD_NAMES.get(parts[0], parts[0]), FIELD_NAMES.get(parts[1], parts[1])
    if len(parts) != 1:
        raise Unreadable(native)
    found = [(text[: -len(quote)], quote) for quote in QUOTES if text.endswith(quote) and len(text) > len(quote)]
    if len(found) > 1:
        found = [(base, quote) for base, quote in found if base in BASES]
    if len(found) != 1:
        raise Unreadable(native)
    ((base, quote),) = found
    return FIELD_NAMES.get(base, base), FIELD_NAMES.get(quote, quote)


def series_of(source: Source, venue: str, native: str, assumed: Market = Market.SPOT) -> SeriesKey:
    """Return the market that a source calls `native` at `venue`; `assumed` is for names that do not say what they are.

    Raises: Refused when the venue or the symbol is missing or reads in several ways.
    """
    options = source.options
    venue = (options.venue or venue).strip().lower()
    if not venue:
        raise refused(source, "nothing says which venue this is", "say it with --venue NAME")
    if not options.symbol and not native:
        raise refused(source, "nothing says which symbol this is", "say it with --symbol BASE/QUOTE")
    return _series(source, options, venue, native.strip() or options.symbol, assumed)


def _series(source: Source, options: Options, venue: str, native: str, assumed: Market) -> SeriesKey:
    text, _, settle = (options.symbol or native).upper().partition(":")
    named = DERIVATIVE.match(text)
    try:
        base, quote = pair_of(named["pair"] if named else text)
    except Unreadable as error:
        raise refused(
            source, f"{native!r} does not read as one pair of base and quote", "say it with --symbol BASE/QUOTE"
        ) from error
    settle = settle.partition("-")[0]
    is_inverse = settle == base or (not settle and not named and (venue, quote) in NO_SPOT)
    said = Market.INVERSE if is_inverse else Market.LINEAR if settle or named else assumed
    market = options.market or said
    size = options.contract_size or (CONTRACT_SIZES.get((venue, base, quote), "") if market == Market.INVERSE else "")
    tail = {Market.INVERSE: f":{base}", Market.LINEAR: f":{quote}"}.get(market, "")
    return SeriesKey(venue=venue, symbol=f"{base}/{quote}{tail}", native=native, market=market, contract_size=size)


def name_of(series: SeriesKey) -> str:
    """Return the series as findings name it: BTC/USD@kraken."""
    return f"{series.symbol}@{series.venue}"


def market_findings(source: Source, series: SeriesKey) -> tuple[Finding, ...]:
    """Return what a reader of results must know about the kind of a market: nothing for a spot market."""
    about = Finding(
        code="contract_size",
        severity=Severity.ERROR,
        series=name_of(series),
        file=str(source.path),
        detail="",
        remedy="",
    )
    found: list[Finding] = []
    if series.market == Market.UNKNOWN:
        found.append(
            msgspec.structs.replace(
                about,
                code="market",
                severity=Severity.WARN,
                detail="nothing says whether this is spot or a derivative",
                remedy="import again with --market spot, --market linear or --market inverse",
            )
        )
    elif series.market == Market.LINEAR == source.options.market:
        pass  # who says "linear" says that sizes are in base
    elif series.market != Market.SPOT and not series.contract_size:
        found.append(
            msgspec.structs.replace(
                about,
                detail=f"{series.native} of {series.venue} is {series.market}, and its sizes may be contracts of unknown size",
                remedy="import again with --contract-size, such as '10 USD' or '1 DOGE'",
            )
        )
    elif series.market != Market.SPOT:
        found.append(
            msgspec.structs.replace(
                about,
                severity=Severity.INFO,
                detail=f"{series.native} of {series.venue} is {series.market} with contracts of {series.contract_size}",
            )
        )
    return tuple(found)
