"""The pages by which people answer without logging in, and what providers call."""
