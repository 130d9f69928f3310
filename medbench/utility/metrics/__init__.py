"""The metrics of classifiers: every module in this folder registers its own, and nothing else names it.

A metric of all classes needs some of `labels` (N,), `scores` (N, K) probabilities and `predicted` (N,), the most
probable class; or `grades`, the labels of classes that have an order. A metric of one class against the rest needs some
of `positive` and `negative` (N,) bool, `score` (N,), `chosen` (N,) bool, whether the class is the most probable, and
`decided` (N,) bool, whether its probability reaches the threshold chosen on val. What needs `positive` is not defined
for a class without an image.
"""
