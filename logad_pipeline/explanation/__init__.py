"""Why a window raised an alarm: evidence for those that are shown, and, if asked, a language model's words on it."""
