"""What becomes of a picture: the pipeline, what keeps it up to date, and the worker."""
