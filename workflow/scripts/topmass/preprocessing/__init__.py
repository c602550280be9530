"""Preprocessing of jet tables to shards: split, statistics, flattening, scaling."""
