"""Frozen values, standard library only: the words that every other package speaks."""
