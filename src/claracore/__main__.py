"""`python -m claracore` is `claracore`."""

from claracore.cli import main

main()
