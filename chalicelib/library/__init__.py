"""An owner's library: documents and clusters, as they stand in the table."""
