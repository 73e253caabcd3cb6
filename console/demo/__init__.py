"""A demonstration that is the real thing: `up`, one alert, one case, people played from a script."""
