"""Encoders that are solved for: one closed form a file."""
