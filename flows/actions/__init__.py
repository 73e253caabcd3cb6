"""The actions that SOPs name: what they are given, what they give back, and the built-in ones. None needs Prefect."""
