"""How are the other machines now, and what is asked of them to find out?"""
