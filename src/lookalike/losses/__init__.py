"""Objectives: pure functions of tensors, one a file."""
