"""How two sets of results are set against each other; `bench.compare` is the door."""
