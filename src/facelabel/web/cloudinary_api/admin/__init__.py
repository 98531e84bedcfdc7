"""The Admin API, search, and everything else that is asked with an account's key."""
