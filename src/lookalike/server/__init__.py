"""The search page and its HTTP API, for one person on one machine; needs `lookalike[serve]`."""
