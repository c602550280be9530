"""What is known of a jet before anything is learned: sums over its image, subjets, and numbers that come with it."""
