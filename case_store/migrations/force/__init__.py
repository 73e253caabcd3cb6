"""What the third migration makes: an event has no place but the next of its stream; the log moves with its events."""
