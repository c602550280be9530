"""Jet features computed from images: four-momenta, towers, particle flow, subjets, image moments."""
