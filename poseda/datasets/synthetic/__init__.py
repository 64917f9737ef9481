"""Domains made on the spot: synthetic people act before a rig of cameras."""
