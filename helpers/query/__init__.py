"""Questions: what one may ask, how far an answer stands above chance, and what one gets."""
