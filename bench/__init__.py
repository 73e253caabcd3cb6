"""Measurements. Each prints a table with what it is compared to, measured in the same run."""
