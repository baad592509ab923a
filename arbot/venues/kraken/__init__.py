"""Kraken spot: REST and websocket v2."""
