"""``python -m logad_pipeline`` is the ``logad`` command."""

from logad_pipeline.cli.main import main

if __name__ == "__main__":
    main()
