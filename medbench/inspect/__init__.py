"""What a user asks of a run folder: how far it is, and whether everything in it is whole."""
