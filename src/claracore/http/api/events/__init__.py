"""How whoever watches hears of what happens, as it happens."""
