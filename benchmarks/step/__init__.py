"""A training step of ours beside the classic loop, and where an adaptation spends its time."""
