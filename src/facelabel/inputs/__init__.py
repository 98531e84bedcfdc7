"""What people and programs hand in, read within limits: files, folders, lists, JSON and forms."""
