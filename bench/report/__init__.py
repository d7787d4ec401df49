"""Tables of a run: `results.csv` (long), `leaderboard.csv` (wide), `leaderboard.md`, and what the terminal shows."""

from bench.report.tables import Paths, read_results, terminal, write_tables

__all__ = ["Paths", "read_results", "terminal", "write_tables"]
