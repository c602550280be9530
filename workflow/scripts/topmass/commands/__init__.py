"""Command line of topmass, and the functions that it shares with the rules."""
