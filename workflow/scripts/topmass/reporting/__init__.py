"""The page of a run: its scores, figures and training, and what they were made from, for somebody who was not there."""
