"""The metrics of fidelity: every module in this folder registers its own, and nothing else names it.

They need `real` and `fake`, features (N, D) and (M, D) of one dimension, and are taken to the training and to the test
split. `floor=True` marks a distance that is also measured between two sets of real images.
"""
