"""Bytes and calls: what clients send and what they get."""
