"""Networks, one file each, and trained models as files."""
