"""The command line: `python -m mls_federation …` (README.md)."""

from .io.command_line import main

if __name__ == "__main__":
    main()
