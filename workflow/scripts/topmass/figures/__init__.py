"""Figures of the workflow, one module per rule: its function `draw_…` reads files and returns figures by name."""
