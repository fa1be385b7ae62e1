"""Which build of an engine does this machine need, and which of those that are here is meant?"""
