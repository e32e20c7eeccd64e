"""One interface to the towers of a CLIP, whichever library they come from."""
