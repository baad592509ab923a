"""Where money should lie, and the cheapest way to get it there."""
