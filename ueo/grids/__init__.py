"""Many runs: planned, skipped where finished, run in parallel."""
