"""What was learnt, searched and written, in the database."""
