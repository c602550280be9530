"""What is known of a jet before anything is learned: sums over its sparse image, and the numbers that come with it."""
