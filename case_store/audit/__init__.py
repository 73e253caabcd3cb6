"""The audit trail: what is written with every change, and how it is read back."""
