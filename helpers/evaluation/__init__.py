"""How good the search is: what is right, metrics with intervals, and where matches begin."""
