"""What this machine can run: facts, what is wrong with them, data sets and extras. Printed by `bench.verbs.doctor`."""
