"""Real disasters played through the live engine, risk, executor and ledger: `arbot stress`."""
