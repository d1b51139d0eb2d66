"""When a run writes checkpoints, and which it keeps."""

from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop
from torch import Tensor

from rdet.engine.accumulation import GRADIENTS, gradients_of_an_open_step
from rdet.engine.best_scores import BestScores, names_of_files
from rdet.engine.checkpoint_files import BEST, LAST, name_best, remove_leftovers, take_along, write_checkpoint
from rdet.errors import ConfigError
from rdet.registry import HOOKS
from rdet.schema import Natural

# What a checkpoint keeps for a run that is resumed: files of this run, the best, and the iteration evaluated last.
_SAVED, _BEST, EVALUATED = "saved_checkpoints", "best_checkpoints", "evaluated_iter"


@HOOKS.register_module()
class CheckpointHook(Hook):
    """Writes what a run needs to go on, and the weights that were best in evaluation.

    A checkpoint is written before the evaluation of its epoch or iteration, and once more after it: with the numbers,
    and the fact that they are known. Each is written as a whole or not at all, and what it replaces goes after that.
    Only files that this run wrote, in its work dir, are ever removed; a run that is resumed into another work dir
    leaves those of the first alone.

    Args:
        interval: Epochs between two checkpoints, or iterations where the run counts these; -1: none but the last.
        max_keep_ckpts: How many are kept; -1: all.
        save_last: Whether the last of the run is written, whatever the interval, also where a hook ends it early.
        save_best: Metric by which a checkpoint is the best, such as ``coco/bbox_mAP``, or a list of them; ``'auto'``:
            the first metric of the evaluation. None: none. The best by the first of them is ``best.pth`` as well:
            weights, classes and config, as inference takes them.
        rule: ``'greater'`` or ``'less'``, which is better; None: ``'less'`` for metrics with ``loss`` in their name.
        save_begin: Epochs or iterations before the first.
        by_epoch: Whether ``interval`` counts epochs; None: as the run does. False has a run of epochs write checkpoints
            within them.

    Raises:
        ConfigError: A value has no meaning.
    """

    priority = "VERY_LOW"

    def __init__(
        self,
        interval: int = -1,
        max_keep_ckpts: int = -1,
        save_last: bool = True,
        save_best: str | list[str] | None = None,
        rule: str | None = None,
        save_begin: Natural = 0,
        by_epoch: bool | None = None,
    ):
        if rule not in (None, "greater", "less"):
            raise ConfigError(f"CheckpointHook.rule is {rule!r}; valid: 'greater', 'less', None")
        if max_keep_ckpts == 0 or max_keep_ckpts < -1:
            raise ConfigError(f"CheckpointHook.max_keep_ckpts is {max_keep_ckpts}; it must be 1 or more, or -1 for all")
        if interval == 0 or interval < -1:
            raise ConfigError(f"CheckpointHook.interval is {interval}; it must be 1 or more, or -1 for none")
        if save_begin < 0:
            raise ConfigError(f"CheckpointHook.save_begin is {save_begin}; it must be 0 or more")
        self.interval = interval
        self.max_keep_ckpts = max_keep_ckpts
        self.save_last = save_last
        self.best = BestScores([save_best] if isinstance(save_best, str) else list(save_best or ()), rule)
        self.save_begin = save_begin
        self.by_epoch = by_epoch

    def before_train(self, runner) -> None:
        """Learn what the run counts, and which files are its own."""
        by_epoch = not isinstance(runner.train_loop, IterBasedTrainLoop)
        if self.by_epoch and not by_epoch:
            raise ConfigError(
                "default_hooks.checkpoint.by_epoch is True, but the run counts iterations (train_cfg.by_epoch=False); "
                "leave it out"
            )
        self._counts_epochs = by_epoch and self.by_epoch is not False
        self._folder = Path(runner.work_dir)
        self._last: tuple[str, int] | None = None  # name, and the iteration that it is of
        self._in_evaluation = False
        self._gradients: dict[str, Tensor] = {}
        info = runner.message_hub.runtime_info
        own = info.get(_SAVED) if isinstance(info.get(_SAVED), dict) else {}
        if own.get("folder") != str(self._folder.resolve()):  # files of another run, or of the same elsewhere
            own = {}
        self._saved = names_of_files(own.get("names"))
        if runner.iter > 0 and self._saved and _is(runner._load_from, self._folder / self._saved[-1]):
            self._last = self._saved[-1], runner.iter
            self._name_last()  # a kill may have come before
        self._outdated = names_of_files(own.get("outdated"))
        self.best.restore(info.get(_BEST))
        if is_main_process():
            remove_leftovers(self._folder)
        if not own:
            self._take_best_along(runner)
        self._name_best()
        self._remove_outdated()  # a kill may have come before

    def after_train_epoch(self, runner) -> None:
        if self._counts_epochs:
            self._save_if_due(
                runner, runner.epoch + 1, runner.max_epochs, {"epoch": runner.epoch + 1, "iter": runner.iter}
            )

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if not self._counts_epochs:
            done = runner.iter + 1
            self._save_if_due(runner, done, runner.max_iters, {"epoch": runner.epoch, "iter": done})

    def after_val_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        """Write the best weights, and what the evaluation found into the checkpoint of this iteration."""
        self._in_evaluation = False
        if not hasattr(self, "_folder"):  # an evaluation without a training
            return
        for metric in self.best.judged(metrics or {}):
            self._save_best(runner, metric, metrics)
        runner.message_hub.update_info(EVALUATED, runner.iter)
        if self._last is not None and self._last[1] == runner.iter:
            self._write(runner, self._last[0], {"epoch": runner.epoch, "iter": runner.iter})
        self._remove_outdated()

    def after_train(self, runner) -> None:
        """Write the last checkpoint of a run that a hook ended before its time."""
        if self.save_last and runner.train_loop.stop_training and (self._last is None or self._last[1] != runner.iter):
            done = f"epoch_{runner.epoch}" if self._counts_epochs else f"iter_{runner.iter}"
            self._save(runner, f"{done}.pth", {"epoch": runner.epoch, "iter": runner.iter})

    def save_now(self, runner) -> str | None:
        """Write a checkpoint of a run that ends between two steps, unless there is one of this iteration.

        Returns:
            Its name; that of the last one if the run ends in an evaluation, where weights may be averages. None if
            there is none.
        """
        if not hasattr(self, "_folder"):
            return None
        written = self._last is not None and self._last[1] == runner.iter
        if not written and not self._in_evaluation:
            self._save(runner, f"iter_{runner.iter}.pth", {"epoch": runner.epoch, "iter": runner.iter})
        return None if self._last is None else self._last[0]

    def before_val_epoch(self, runner) -> None:
        self._in_evaluation = True

    def _save_if_due(self, runner, done: int, last: int, meta: dict[str, int]) -> None:
        due = self.interval > 0 and done > self.save_begin and (done - self.save_begin) % self.interval == 0
        if due or (self.save_last and done == last):
            self._save(runner, f"{'epoch' if self._counts_epochs else 'iter'}_{done}.pth", meta)

    def _save(self, runner, name: str, meta: dict[str, int]) -> None:
        """Write a checkpoint, name it as the last, and remove those that are too many."""
        runner.call_hook("look_at_steps")  # weights that a loss without a number has broken are not written
        self._saved = [*(known for known in self._saved if known != name), name]
        too_many = self._saved[: -self.max_keep_ckpts] if self.max_keep_ckpts > 0 else []
        self._saved = self._saved[len(too_many) :]
        self._outdated += too_many
        self._last = name, meta["iter"]
        runner.logger.info(f"saving checkpoint {name}")
        self._write(runner, name, meta)
        self._name_last()
        self._remove_outdated()

    def _name_last(self) -> None:
        path = str(self._folder / self._last[0])
        if is_main_process():
            write_checkpoint(self._folder / LAST, lambda part: part.write_text(path, encoding="utf-8"))

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        if "optimizer" in checkpoint and self._gradients:
            checkpoint[GRADIENTS] = self._gradients

    def _write(self, runner, name: str, meta: dict[str, int]) -> None:
        self._note(runner)
        self._gradients = gradients_of_an_open_step(runner)
        runner.save_checkpoint(str(self._folder), name, meta=meta, by_epoch=self._counts_epochs)

    def _take_best_along(self, runner) -> None:
        """Copy what was best in the folder of the run that goes on here, so that ``best.pth`` is here too."""
        for metric, (score, name) in self.best.known.items():
            source = Path(runner._load_from or "x").with_name(name or "x")
            if not take_along(source, self._folder, is_main_process()):
                self.best.known[metric] = score, ""
                runner.logger.warning(
                    f"{BEST} is written once {metric} is better than {score:.4f}; those weights are not beside "
                    f"{runner._load_from}"
                )

    def _note(self, runner) -> None:
        """Put what a resumed run must know into the checkpoint."""
        own = {"folder": str(self._folder.resolve()), "names": list(self._saved), "outdated": list(self._outdated)}
        runner.message_hub.update_info(_SAVED, own)
        runner.message_hub.update_info(_BEST, self.best.state())

    def _save_best(self, runner, metric: str, metrics: dict[str, float]) -> None:
        """Write the weights if they are the best by a metric; the file that they supersede is outdated then."""
        score = metrics[metric]
        if score == -1 and metric.startswith("coco/"):  # there is nothing to score
            runner.logger.info(f"{metric} is -1, which makes no weights the best: {BEST} is not written")
            return
        if not self.best.beaten_by(metric, score):
            return
        _, name_before = self.best.known.get(metric, (score, ""))
        done = f"epoch_{runner.epoch}" if self._counts_epochs else f"iter_{runner.iter}"
        name = f"best_{metric}_{done}.pth".replace("/", "_")
        self.best.known[metric] = float(score), name
        self._note(runner)
        meta = {"epoch": runner.epoch, "iter": runner.iter}
        only_weights = {"save_optimizer": False, "save_param_scheduler": False}
        runner.save_checkpoint(str(self._folder), name, meta=meta, by_epoch=False, **only_weights)
        runner.logger.info(f"{metric} {score:.4f} is the best so far: {name}")
        self._name_best()
        if name_before not in ("", name):
            self._outdated.append(name_before)

    def _name_best(self) -> None:
        """Have ``best.pth`` be what is best by the first metric; a kill may have come before."""
        if self.best.first and is_main_process():
            name_best(self._folder, self.best.first)

    def _remove_outdated(self) -> None:
        """Remove what newer files supersede, once they are there, but never what is in use again."""
        in_use = {*self._saved, *self.best.names}
        if is_main_process():
            for name in self._outdated:
                if name not in in_use:
                    (self._folder / name).unlink(missing_ok=True)
        self._outdated = []


def _is(source: str | Path | None, path: Path) -> bool:
    """Tell whether a checkpoint was loaded from a path."""
    return source is not None and Path(source).resolve() == path.resolve()
