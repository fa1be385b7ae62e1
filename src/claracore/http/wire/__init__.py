"""HTTP/1.x as bytes: pure functions and parsers without connections."""
