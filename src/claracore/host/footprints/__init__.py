"""What does each model take of each device: as declared, measured or estimated, and what is left?"""
