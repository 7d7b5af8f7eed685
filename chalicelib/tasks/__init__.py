"""What jobs do: a registry of names and limits, and one module per task."""
