"""From numbers to figures. Plain arrays in, matplotlib figures out; labelled as simulation, never as a CMS result."""
