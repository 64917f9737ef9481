"""Readers of the files that people bring, a module a format. Nothing in a file is ever executed."""
