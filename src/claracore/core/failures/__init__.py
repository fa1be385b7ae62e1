"""What does it mean that a model's server did not start?"""
