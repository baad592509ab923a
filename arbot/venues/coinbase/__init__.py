"""Coinbase Advanced Trade: REST v3 and websocket."""
