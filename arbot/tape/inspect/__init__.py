"""What recorded market data is worth: its faults, its coverage, and what the difference between venues looks like."""
