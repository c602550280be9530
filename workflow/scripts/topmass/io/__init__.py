"""Downloads and input files of the user, converted to jet tables."""
