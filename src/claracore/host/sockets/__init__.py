"""What does this host's kernel say about ports? Holds, owners, the ledger shared by instances, and the front door."""
