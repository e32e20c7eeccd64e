"""The bench of docs/bench.md: its protocol, its runs, its tables."""
