"""From predictions to numbers with their intervals. NumPy only."""
