"""`python -m itemlm`: the `itemlm` command."""

from itemlm.cli import main

main()
