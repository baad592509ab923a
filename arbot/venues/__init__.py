"""The edges to the venues: codecs and sessions for their streams, gateways for signed REST, limits and keys."""
