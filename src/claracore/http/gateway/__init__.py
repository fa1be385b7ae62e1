"""How does a byte get from a client to the right model server and back?

`connection` reads requests off the public port, and `dispatch` gives each a handler: an `exchange` (inference and
`/upstream`: to a model server), a call of the ASGI application (`bridge`), or an answer that is known (`local`). An
exchange, and what our own code asks of models (`inside`), is a `request`, which waits for its model and goes over an
`upstream` connection; `relay` has what all of them share. What can be decided without I/O lies in pure modules beside
them: `incoming`, `routes`, `admission`, `asked`, `targets`, `filters`, `heads`.
"""
