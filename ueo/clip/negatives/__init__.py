"""Names that no class has: found among WordNet's words, encoded, and what images look like them."""
