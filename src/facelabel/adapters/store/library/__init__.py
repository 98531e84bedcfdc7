"""The local library in the database and in the folder of its originals."""
