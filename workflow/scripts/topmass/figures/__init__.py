"""Figures of the workflow, one module per rule: each reads files and saves its figures."""
