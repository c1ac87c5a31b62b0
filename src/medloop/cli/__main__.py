"""`python -m medloop.cli` where the `medloop` script is not on the path."""

from medloop.cli import main

if __name__ == "__main__":
    main()
