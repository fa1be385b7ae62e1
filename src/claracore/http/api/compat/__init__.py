"""The shapes of other systems' APIs, answered with our values."""
