"""Metrics, bootstrap intervals, regions, baselines and comparisons of predictions. NumPy only."""
