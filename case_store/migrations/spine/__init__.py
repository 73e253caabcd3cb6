"""What the first migration makes: tables, and the triggers that guard them."""
