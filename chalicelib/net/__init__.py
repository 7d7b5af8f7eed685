"""The outside network: which addresses may be reached, and a guarded way to reach them."""
