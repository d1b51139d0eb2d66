"""What a run asks of its config before it trains by CUDA graphs."""

from typing import TYPE_CHECKING

from rdet.errors import ConfigError
from rdet.models.detectors.one_stage_detector import OneStageDetector

if TYPE_CHECKING:
    from rdet.engine.runner import Runner


def use_cuda_graphs(runner: "Runner", model: OneStageDetector) -> None:
    """Have a detector train by CUDA graphs; see :class:`~rdet.models.detectors.graphed_network.GraphedNetwork`.

    Raises:
        ConfigError: A key of the config does not go with it.
    """
    if runner.cfg.get("compile"):
        raise ConfigError("cuda_graphs and compile both say how the network's kernels are started; remove one of them")
    if runner.cfg.get("activation_checkpointing"):
        raise ConfigError(
            "cuda_graphs records each kernel of a step, and activation_checkpointing decides in it what is computed "
            "again; remove one of them"
        )
    if next(model.parameters()).is_cuda:
        model.use_cuda_graphs()
        runner.logger.info("training by CUDA graphs: a size of batch that comes often is recorded")
    else:
        runner.logger.warning("cuda_graphs: there is no GPU here, so the key has no effect")
