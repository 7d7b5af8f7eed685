"""The HTTPS API: one module of routes per resource, one place for tokens, one for errors."""
