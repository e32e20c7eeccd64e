"""Commands of the studies: many runs and what they say together."""
