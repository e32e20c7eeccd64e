"""Images in shards: tar files in WebDataset's form, read one after another and never held at once.
docs/streams.md has the rules."""
