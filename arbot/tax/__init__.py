"""Reports, exports and imports of history: the shell around the pure rules in arbot.ledger. Reads stores, writes files."""
