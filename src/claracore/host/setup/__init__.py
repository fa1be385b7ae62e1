"""From model files to a configuration file, and what is wrong on this machine."""
