"""Countries: each is data (currency, year, days, methods) and the rules that turn history lines into slices."""
