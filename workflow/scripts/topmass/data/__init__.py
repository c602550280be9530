"""Sparse batches of jets: shard files, datasets, shuffling, batching, placement on the device."""
