"""What does this machine have: processors, memory, graphics devices?"""
