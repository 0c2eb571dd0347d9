"""`python -m vidpipe` is the `vidpipe` command."""

from vidpipe.cli.main import main

main()
