"""The model files on this machine: found, read, remembered, watched."""
