"""`python -m flipcore`."""

from flipcore.cli import main

main()
