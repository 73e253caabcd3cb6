"""What the sixth migration makes: the disclosures of personal values, and legal holds."""
