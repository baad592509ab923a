"""Pretend venues: matching, accounts, fees, faults, markets; `wire` serves them in the real protocols."""
