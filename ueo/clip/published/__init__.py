"""Files of others: what a file of weights is, and prompts that others have learnt."""
