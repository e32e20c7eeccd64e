"""One machine: what it lacks, whether short runs agree on it, how long the whole job takes."""
