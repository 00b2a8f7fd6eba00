"""`python -m lookalike` is the command `lookalike`."""

import sys

from lookalike.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
