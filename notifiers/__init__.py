"""Ways to reach a person. Each tries once and says ok, permanent, temporary or unknown; the asker decides what next.

`contract` is what the rest of the program knows; `email` and `sms` keep it; `render` writes the words; `testing` has
the doubles. Nothing here knows of cases, databases or Prefect.
"""
