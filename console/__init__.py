"""What people touch besides the Prefect UI: the command line."""
