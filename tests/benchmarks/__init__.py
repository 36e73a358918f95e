"""How fast this is, and how good, see README.md; `possible` says what cannot be."""
