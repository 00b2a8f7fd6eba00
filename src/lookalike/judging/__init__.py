"""How good an encoder is, beside its baselines on images."""
