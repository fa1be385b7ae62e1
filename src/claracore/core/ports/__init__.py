"""Which port does each thing listen on, and why? Plans, leases, findings and words about them; no sockets here."""
