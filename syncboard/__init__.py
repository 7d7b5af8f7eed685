"""SyncBoard's command line and client."""
