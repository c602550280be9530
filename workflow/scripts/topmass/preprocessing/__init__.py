"""From jet tables to shards: split, statistics, unbiasing, scaling."""
