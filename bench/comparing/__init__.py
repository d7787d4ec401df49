"""How two sets of results are set against each other; `table.py` is the door."""
