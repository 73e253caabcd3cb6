"""What migration 0008 makes: columns for how a message fares, and whom a channel does not reach."""
