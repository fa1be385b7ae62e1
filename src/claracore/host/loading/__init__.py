"""What of models' files is in memory, what is read ahead, and how long do loads take?"""
