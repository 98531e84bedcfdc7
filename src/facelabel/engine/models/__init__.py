"""Model packs: what is in them, where they come from, and how their files become graphs."""
