"""Results: records of runs, and tables and pictures made from records alone."""
