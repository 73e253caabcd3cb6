"""Run the command line with ``python -m console``."""

from console.cli import main

main()
