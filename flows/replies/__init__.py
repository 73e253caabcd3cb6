"""Mail that comes back: fetched from a mailbox or a folder, read, given to the case store. Nothing needs Prefect."""
