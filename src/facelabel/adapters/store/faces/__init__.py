"""The gallery in the database: collections, their faces and users."""
