"""What the migration for replies makes: what came back, and how far mailboxes are read."""
