"""What is a request told for a model of which files are missing where it is to run?

On another machine a request waits for them, as for a load, as long as a client may be expected to: nothing of this
machine is taken meanwhile. On this machine it is refused, with words and the time that it may take: a load that waits
would have others unloaded for it first, minutes before it needs their room.
"""

from __future__ import annotations

import math

from claracore.core.cluster.model import Fit, NodeModel
from claracore.errors import ClaraCoreError

RETRY_AFTER_SECONDS = 2


class FilesNotThere(ClaraCoreError):
    """The machine does not have the files of the model (yet); 503."""

    status = 503
    code = "files_not_there"
    cause = "The machine that is to run the model does not have its files, or is still fetching them."
    way_out = "Wait for them (`claracore nodes` says how far they are), or allow that they are fetched (`fetch: head`)."


def files_not_there(model_id: str, model: NodeModel, where: str) -> FilesNotThere:
    """Return the error for a model, as it is `where` it is to run."""
    comes = model.fit is Fit.FETCH
    return FilesNotThere(
        f"{where} does not have the files of model {model_id!r}{' yet' if comes else ''}: {model.why}",
        retry_after_seconds=math.ceil(model.left_seconds or RETRY_AFTER_SECONDS) if comes else None,
    )
