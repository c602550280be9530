"""Training loop, recipes, checkpoints, multi-process launch, and GBDT baselines."""
