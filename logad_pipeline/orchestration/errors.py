"""What can go wrong with a run, for those who start one; loads nothing of Dagster."""


class RunFailed(Exception):
    """A run of the pipeline ended in failure; the text says where to look."""
