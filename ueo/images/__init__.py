"""Images of a data set: folders and lists, splits, decoding, transforms, batches."""
