"""GGUF files: what their headers say, as plain values."""
