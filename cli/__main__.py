"""`python -m cli` is the command `penstock`."""

from cli import main

main()
