"""What did the user ask for? Text in, values and findings out; nothing here touches a file, a clock or a socket."""
