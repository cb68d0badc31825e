"""Two small apps that sign people in with Unified and spend from its pool, and `make demo`, which runs them."""
