"""Scores with labels and without, published protocols, and the gate."""
