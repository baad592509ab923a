"""What can be wrong with recorded market data, rule by rule; findings.py holds the table of them all."""
