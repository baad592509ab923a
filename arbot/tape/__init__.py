"""Recorded market data: the Parquet catalogue, its reader and writer, the recorder, importers, and the inspector."""
