"""Standard operating procedures as data: what must be done, by whom and under which condition.

Nothing in here knows a database, an engine or a network.
"""
