"""What the workflow knows beside its rules: its configuration, the code behind a stage, and whose turn it is."""
