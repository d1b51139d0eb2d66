"""A training in which no box is ever learnt, since no prior is matched to one."""

from mmengine.logging import MessageHub

_STEPS = 10  # of which a rule can be told


class Unmatched:
    """Watches the loss of the boxes, which is 0 where no prior is positive."""

    def __init__(self) -> None:
        self._has_said = False

    def doubt(self, hub: MessageHub, steps: int, at_the_end: bool = False) -> str | None:
        """Say it once, if no step had a positive.

        Args:
            hub: Has the losses of the steps.
            steps: Done in this run.
            at_the_end: Whether there will be no more.
        """
        losses = hub.log_scalars.get("train/loss_bbox")
        if self._has_said or losses is None or steps < (1 if at_the_end else _STEPS):
            return None
        values, counts = losses.data
        if not len(values) or float(abs(values[counts > 0]).max(initial=0.0)) > 0:
            return None
        self._has_said = True
        return (
            f"in {steps} iterations no prior was matched to any box (loss_bbox is 0): only background is learnt; "
            "are the boxes far smaller or larger than the anchors (rdet fit-anchors), are images resized or cropped so "
            "that no box is left?"
        )
