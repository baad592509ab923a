"""Values and words of arbot: stdlib and msgspec only, nothing here waits, reads a clock or logs."""
