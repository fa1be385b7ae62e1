"""What is in docs/reference: pages that are made from the code."""
