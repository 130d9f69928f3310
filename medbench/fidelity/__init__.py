"""Fidelity: how close generated images are to real ones."""
