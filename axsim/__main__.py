"""``python -m axsim``: the command line."""

from axsim.cli import main

main()
