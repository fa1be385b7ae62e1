"""How is a real model run with one tuning after another, and how fast is it with each?"""
