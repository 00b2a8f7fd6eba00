"""Embeddings in, numbers out."""
