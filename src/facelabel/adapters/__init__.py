"""Everything that talks to something outside the core. Only bootstrap imports from here."""
