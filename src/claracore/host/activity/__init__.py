"""What happened: requests, loads, counts, and what is kept of them."""
