"""The relay: carries what is in the case store to Prefect and to people, and what Prefect says into the case store.

It decides nothing. Whatever it does can be repeated, and what it misses the sweep finds.
"""
