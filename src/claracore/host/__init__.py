"""What this machine does for us: its kernel, devices, files and the model servers that run on it."""
