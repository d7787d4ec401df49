"""The command: `python run_bench.py` runs the quickstart; `python run_bench.py --help` says what else there is."""

from bench.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
