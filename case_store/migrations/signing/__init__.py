"""What the tenth migration makes: approvals, and codes to sign with."""
