"""The class condition: a few learned tokens a class."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ClassTokens(nn.Module):
    """Tokens of every class and, in the last row, of the null class (Ho and Salimans 2022)."""

    def __init__(self, n_classes: int, tokens_per_class: int, context_dim: int):
        super().__init__()
        self.table = nn.Parameter(torch.randn(n_classes + 1, tokens_per_class, context_dim))

    def forward(self, labels: Tensor) -> Tensor:
        """labels (B,) int64 in 0..n_classes -> (B, tokens_per_class, context_dim)."""
        # Not self.table[labels]: its gradient is summed in an order that varies when CPU threads share the work.
        return F.embedding(labels, self.table.flatten(1)).unflatten(1, self.table.shape[1:])
