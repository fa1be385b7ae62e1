"""How long does a load take, and how far is it?"""
