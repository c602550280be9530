"""How a training goes on after a kill: its state, its checkpoints, and the signals that ask it to end."""
