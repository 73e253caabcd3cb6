"""Sinks: places outside to which the record goes, so that whoever changes this machine does not change them too.

`address` reads the settings, `files` and `syslog` carry lines, `state` remembers how far each sink is, `content` reads
what comes next, `mail` promises the daily checkpoint. The relay brings them together (`flows/relay/forward.py`).
"""
