"""Real Cloudinary as the library, over the official SDK."""
