"""How does another process take the place of this one without a request noticing?"""
