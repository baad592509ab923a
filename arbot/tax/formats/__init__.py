"""Files for other programs: each format is a header that is matched byte for byte, and a pure function to its rows."""
