"""Everything that is reached over HTTP: the webhook, and the compatible endpoints."""
