"""Which other machines are there, how are they, and on which one is a request answered best?"""
