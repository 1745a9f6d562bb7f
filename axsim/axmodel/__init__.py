"""Deployed files: what ``axsim build`` writes and the stand-in for the board runs.

A file is one zip with the ``.axmodel`` name; ``docs/axmodel.md`` has its layout.
"""
