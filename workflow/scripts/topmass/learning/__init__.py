"""From shards to a model, and from a model to predictions. The only part of the library that imports torch."""
