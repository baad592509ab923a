"""Metrics, logs, totals, the status and its table: consumers of what the engine concluded, with no opinion of their own."""
