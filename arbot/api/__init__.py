"""The loopback page: health, metrics and status to read, and one door for the operator."""
