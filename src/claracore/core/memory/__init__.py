"""How much memory have the devices of this machine, and who takes how much of it? Values and sums."""
