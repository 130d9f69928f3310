"""The metrics of fidelity: every module in this folder registers its own, and nothing else names it."""
