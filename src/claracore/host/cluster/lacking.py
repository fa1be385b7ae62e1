"""What is a request told for a model of which files are missing where it is to run?

On another machine it waits for them, as for a load, as long as a client may be expected to: nothing is held up by that.
On this machine it is refused, with words and the time that they will take: a load that waits keeps the others out.
"""

from __future__ import annotations

import math

from claracore.core.cluster.model import Fit, NodeModel
from claracore.core.cluster.wanted import LONGEST_WAIT_SECONDS
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


def may_wait(model: NodeModel) -> bool:
    """Whether a request may wait for the files of a model."""
    return model.fit is Fit.FETCH and (model.left_seconds is None or model.left_seconds <= LONGEST_WAIT_SECONDS)
