"""What the engine is held against: the way of the reference, the limits of the device, and jets to measure with."""
