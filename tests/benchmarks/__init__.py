"""How fast it is: `make benchmark` and `make latency`."""
