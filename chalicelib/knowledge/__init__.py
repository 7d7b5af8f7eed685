"""Concepts, term vectors and topic clusters: pure Python, no network, data read once at first use."""
