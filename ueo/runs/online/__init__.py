"""One pass over the unlabelled images as a stream: each batch is answered before a later one is
seen. docs/online.md has the protocol."""
