"""A run folder: who may write to it, what it holds, and how it is read."""
