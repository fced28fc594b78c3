"""`python -m emoscope` is the command line."""

from emoscope.cli.main import main

if __name__ == "__main__":
    main()
