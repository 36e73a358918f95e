"""How fast this is: `make benchmark` and `make latency`."""
