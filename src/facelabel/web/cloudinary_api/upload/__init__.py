"""The Upload API: files become assets, and many assets are changed at once."""
