"""``python -m facelabel``."""

from facelabel.cli import main

if __name__ == "__main__":
    main()
