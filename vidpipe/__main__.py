"""Entry point of `python -m vidpipe`, the same as the command `vidpipe`."""

from vidpipe.cli.main import main

main()
