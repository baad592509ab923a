"""The append-only, hash-chained record and what is derived from it: orders, fills, transfers, postings, balances."""
