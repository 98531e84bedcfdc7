"""Jobs that wait in the database, and the notifications they come from."""
