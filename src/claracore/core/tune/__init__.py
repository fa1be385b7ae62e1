"""With which settings does a model answer fastest? Which to try next, which is best, and how that is written."""
