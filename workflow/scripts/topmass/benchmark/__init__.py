"""Throughput of the training against a reference implementation and the limits of the device."""
