"""What the twelfth migration makes: links by which people answer."""
