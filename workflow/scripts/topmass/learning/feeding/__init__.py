"""From shards to batches on the device: where the jets are kept, and how a batch is made of them there."""
