"""How is a model placed on this machine, what does it cost in bytes, and what does its configuration say?"""
