"""Which engine runs a model, and what can it do?"""
