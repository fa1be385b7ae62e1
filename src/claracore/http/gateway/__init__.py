"""How does a byte get from a client to the right model server and back?

`connection` reads requests off the public port and gives each to one of two handlers: `exchange` (inference and
`/upstream`: to a model server, through `upstream`) or `bridge` (everything else: to an ASGI application). What can be
decided without I/O lies in pure modules beside them: `head`, `framing`, `model`, `filters`, `routes`, `access`.
"""
