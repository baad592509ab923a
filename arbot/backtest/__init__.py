"""Backtest: replay tapes through the daemon's own engine, report honestly, sweep settings, compare with what happened."""
