"""Which conversations are worth keeping over a swap, and which of them are brought back?"""
