"""Importers of foreign market data: one module per family of formats, one contract."""
