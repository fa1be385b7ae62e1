"""How does ClaraCore become a service of this machine, and stop being one?"""
