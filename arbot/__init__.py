"""Cross-exchange crypto arbitrage: detect, decide within limits, execute, account."""

__version__ = "0.1.0"
