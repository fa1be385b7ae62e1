"""What was printed: by the model servers, and by ClaraCore itself."""
