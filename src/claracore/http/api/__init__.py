"""The control plane: what is not inference. One file a resource; a handler translates HTTP to one call and back."""
