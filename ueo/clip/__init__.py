"""CLIP as every method here uses it: backbones, prompts, the prompted model, what is tuned."""
