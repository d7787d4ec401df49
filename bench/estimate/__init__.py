"""How long a grid will take: from cells that ran on this machine before, else from a short probe of each method.

Nothing here knows a method: the probe trains for a few seconds and jumps over the rest (`bench.estimate.meter`).
"""
