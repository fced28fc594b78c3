"""`python -m emoscope` is the command line."""

from emoscope.cli import main

if __name__ == "__main__":
    main()
