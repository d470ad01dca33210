"""The database server: sessions with it, and what it holds."""
