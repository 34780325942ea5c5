"""The command line as a module: ``python -m scprism.cli``."""

from scprism.cli import main

if __name__ == "__main__":
    main()
