"""What does a service manager have to know to run ClaraCore for good? Pure."""
