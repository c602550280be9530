"""What a network is: one file each, and a trained one as a file. All take batches of sparse jets."""
