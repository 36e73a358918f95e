"""Questions: what you can ask, how far a score is above chance, and what you get."""
