"""What the migration for the second party makes: kept nodes of the tree, cosignatures, and the log's keys over time."""
