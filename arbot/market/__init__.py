"""The order books: sorted integer arrays kept by compiled code, one core for live and backtest."""
