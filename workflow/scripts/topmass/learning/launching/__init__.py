"""How several processes work together: they are launched, on one machine or on several, and each is a worker."""
