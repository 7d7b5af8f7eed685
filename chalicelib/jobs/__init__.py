"""The job engine: states, transitions, leases, supervision."""
