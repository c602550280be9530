"""From Pythia to a jet table: generator, detector, clustering, imaging."""
