"""The media library in Cloudinary's sense: its words, and what others need of it."""
