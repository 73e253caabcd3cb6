"""What the migration for time stamps makes: the answers of a time-stamping authority, by checkpoint."""
