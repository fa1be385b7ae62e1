"""Values and plain functions: no clocks, files, sockets or tasks. Everything here can be tested with a table."""
