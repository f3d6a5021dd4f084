"""The triage pages: what a person on duty sees in a browser, rendered here and readable without a script.

Belongs here: routes, words and templates. What they show is read by ``lake``; what a click changes goes through
the same functions as the command line and `POST /feedback`.
"""

from logad_pipeline.serving.pages import board, changing, searching, signing, windows

PAGES = (board, windows, searching, changing, signing)
"""Modules whose ``routes`` an application registers."""
