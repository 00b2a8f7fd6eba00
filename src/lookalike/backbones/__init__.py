"""Encoders: (B, 3, H, W) images in, (B, dim) representations out."""
