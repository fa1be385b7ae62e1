"""Which files of a hub does a person mean, and where do they go?"""
