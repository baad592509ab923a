"""Tax lots: which units a disposal takes, at what cost. Pure; knows no currency, no country and no file."""
