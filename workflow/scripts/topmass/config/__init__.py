"""Configuration: reading, inheritance and validation; helpers of the rules."""
