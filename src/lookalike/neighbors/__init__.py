"""Embeddings to neighbours: collections on disk, and exact and approximate search in them."""
