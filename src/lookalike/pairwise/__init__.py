"""Reductions over all pairs that never hold an N x N matrix."""
