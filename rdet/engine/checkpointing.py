"""What a run reads from checkpoints and writes into them."""

from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import broadcast, master_only
from mmengine.model import is_model_wrapper
from torch import nn

from rdet.checkpoint import check_fit, classes_in, load_weights_into, meta_in, origin_in, read_checkpoint, weights_in
from rdet.class_rows import with_rows_of_classes
from rdet.config import flatten
from rdet.engine.accumulation import GRADIENTS, check_gradients, restore_gradients
from rdet.engine.checkpoint_files import newest_whole, write_checkpoint
from rdet.engine.log_processor import LogProcessor
from rdet.engine.optim_wrapper import WAYS_TO_COMPUTE
from rdet.engine.optimizing_runner import OptimizingRunner
from rdet.engine.resumed_state import IMAGES_TOGETHER, check_meta, check_states
from rdet.errors import CheckpointError, MissingFileError, message_of
from rdet.literal_config import literal_config
from rdet.messages import few, in_one_line, shown
from rdet.processes import first_process_does

# What a resumed run cannot have changed.
_KEPT_SETTINGS = (
    ("optim_wrapper.optimizer.type", lambda cfg: cfg.optim_wrapper.optimizer.type),
    ("number of param_scheduler", lambda cfg: len(cfg.get("param_scheduler") or ())),
)


# What a resumed run goes on with as its config says now, and what of it changes no result, or stays as it was.
_COMPARED = ("model.", "train_dataloader.", "optim_wrapper.clip_grad.", "optim_wrapper.type", "train_cfg.by_epoch")
_NOT_COMPARED = (
    *("weights", "num_workers", "persistent_workers", "pin_memory", "prefetch_factor", "data_root"),
    "aspect_ratio_grouping",
)
_NOTHING = "nothing"


def _differ(before: Any, now: Any) -> bool:
    """Tell whether two values of configs differ; objects and classes, which a saved config has as texts, do not."""
    if isinstance(before, list | tuple) and isinstance(now, list | tuple):
        return len(before) != len(now) or any(map(_differ, before, now))
    plain = (str, int, float, bool, list, tuple, dict, type(None))
    return isinstance(before, plain) and isinstance(now, plain) and before != now


def _said(value: Any) -> str:
    return _NOTHING if value is _NOTHING else shown(value)


class CheckpointingRunner(OptimizingRunner):
    """mmengine's Runner with checkpoints that are whole, are checked before they are loaded, and run nothing.

    A checkpoint of other classes, of another architecture or of another run's data is one error.
    """

    def _init_model_weights(self) -> None:
        if self._resume:
            return  # a resumed model gets all its weights from the checkpoint
        if self._load_from and self._has_whole_backbone(self._load_from):
            return
        model = self.model.module if is_model_wrapper(self.model) else self.model
        if hasattr(model, "init_weights"):
            first_process_does(lambda: model.init_weights() and None)  # the others read and download nothing
            for value in model.state_dict().values():
                broadcast(value)

    def _has_whole_backbone(self, source: str) -> bool:
        """Tell whether a checkpoint to start from brings all weights of the backbone, so that no others are needed."""
        model = self.model.module if is_model_wrapper(self.model) else self.model
        found = weights_in(read_checkpoint(source))
        wanted = {name: value for name, value in model.state_dict().items() if name.startswith("backbone.")}
        return bool(wanted) and all(
            name in found and found[name].shape == value.shape
            for name, value in wanted.items()
            if not name.endswith("num_batches_tracked")
        )

    def load_checkpoint(self, filename: str, map_location="cpu", strict: bool = False, revise_keys=()) -> dict:
        """Load weights; what does not fit is one message.

        Weights to resume or to test must fit entirely and be of the same classes; weights to start from may lack
        some. Of their class layer the rows of classes of the same name are taken.
        """
        checkpoint = read_checkpoint(filename, map_location)
        meta = {key: value for key, value in meta_in(checkpoint).items() if key != "config"}  # mmengine would run it
        # Also of bare weights, or another trainer's: hooks expect mmengine's keys.
        checkpoint = {**checkpoint, "meta": meta, "state_dict": weights_in(checkpoint)}
        starts_training = self._train_loop is not None and not self._resume
        if not starts_training:
            check_checkpoint_classes(checkpoint, self._dataset_classes(), filename)
        if self._resume:
            self._check_averages(checkpoint, filename)
        self.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        model = self.model.module if is_model_wrapper(self.model) else self.model
        weights = checkpoint["state_dict"]  # a hook may have changed them
        if starts_training:
            trained, wanted = classes_in(checkpoint), self._dataset_classes()
            weights = with_rows_of_classes(weights, model.state_dict(), trained, wanted, filename)
        load_weights_into(model, weights, filename, strict=not starts_training, converted_from=origin_in(checkpoint))
        if self._train_loop is not None:
            _check_norms_stay(model, filename)
        self._has_loaded = True
        self.logger.info(f"loaded {filename}")
        return checkpoint

    def _check_averages(self, checkpoint: dict, filename: str) -> None:
        """Raise CheckpointError unless averaged weights are those of this run: mmengine would take what fits."""
        found = checkpoint.get("ema_state_dict")
        if "ema_state_dict" in checkpoint and not isinstance(found, dict):
            raise CheckpointError(f"cannot resume {filename}: its ema_state_dict holds no weights; take another")
        for hook in self.hooks:
            averages = getattr(hook, "ema_model", None)
            if found is not None and isinstance(averages, nn.Module):
                model = self.model.module if is_model_wrapper(self.model) else self.model
                check_fit(model.state_dict(), checkpoint["state_dict"], f"cannot resume {filename}: its state_dict")
                check_fit(averages.state_dict(), found, f"cannot resume {filename}: its ema_state_dict")

    def save_checkpoint(self, *args, **kwargs) -> None:
        self.call_hook("look_at_steps")  # in all processes, which may end here
        self._save_whole(*args, **kwargs)

    @master_only
    def _save_whole(self, out_dir: str, filename: str, *args, meta: dict | None = None, **kwargs) -> None:
        meta = {**(meta or {}), "data_order": self.data_order}
        if isinstance(self.log_processor, LogProcessor):
            self.log_processor.forget(self.message_hub, len(self.train_dataloader))
        save = super().save_checkpoint
        write_checkpoint(
            Path(out_dir) / filename, lambda part: save(str(part.parent), part.name, *args, meta=meta, **kwargs)
        )

    def load_or_resume(self) -> None:
        """Load or resume. Of a work dir to resume, the newest checkpoint that is whole is taken.

        Raises:
            MissingFileError: It shall resume and there is nothing: mmengine would start anew, and say so.
        """
        if self._resume and self._load_from is None and not self._has_loaded:
            newest, passed_over = newest_whole(self.work_dir)
            for reason in passed_over:
                self.logger.warning(f"passed over: {reason}")
            if newest is None:
                raise MissingFileError(
                    f"nothing to resume in {self.work_dir}: it has no checkpoint that is whole; start without "
                    "--resume, or name a checkpoint"
                )
            self._load_from = str(newest)
        super().load_or_resume()

    def resume(self, filename: str, *args, **kwargs) -> None:
        """Continue a run.

        Optimizer and schedulers go on as the checkpoint has them; what the config changes of them is named in a
        warning.

        Raises:
            CheckpointError: The checkpoint holds weights alone, or its data set, total batch, kind of optimizer or
                number of schedulers is another one.
        """
        checkpoint = read_checkpoint(filename)
        check_meta(checkpoint, self, filename)
        meta, gradients = meta_in(checkpoint), checkpoint.get(GRADIENTS)
        if isinstance(meta.get("cfg"), str):
            try:
                before = Config(literal_config(meta["cfg"]))
                settings = [of(before) for _, of in _KEPT_SETTINGS]
            except (CheckpointError, AttributeError, KeyError, TypeError) as error:  # a text where a dict should be
                self.logger.warning(
                    f"the config in {filename} is not compared with this run's: {in_one_line(message_of(error))}"
                )
            else:
                self._compare_schedules(before, settings, filename)
        check_states(checkpoint, self, filename)
        if gradients is not None:
            check_gradients(self, gradients, filename)
        self.train_dataloader.batch_sampler.together = meta.get("data_order", {}).get(IMAGES_TOGETHER, 1)
        del checkpoint  # mmengine reads it again
        super().resume(filename, *args, **kwargs)
        if gradients is not None:
            restore_gradients(self, gradients)

    def _compare_schedules(self, before: Config, settings: list, filename: str) -> None:
        """Say which settings of the optimizer and its schedulers are not used, since a resumed run keeps its own."""
        for (place, of), setting in zip(_KEPT_SETTINGS, settings, strict=True):
            if setting != of(self.cfg):
                raise CheckpointError(
                    f"cannot resume {filename}: its {place} is {in_one_line(setting)}, now it is {of(self.cfg)}; "
                    "restore the setting, or start anew with load_from"
                )
        kept = ("optim_wrapper.optimizer.", "optim_wrapper.paramwise_cfg.", "param_scheduler.")
        old, new = flatten(before), flatten(self.cfg)
        changed = [
            key
            for key in {**old, **new}
            if key.startswith(kept)
            and key.rpartition(".")[2] not in WAYS_TO_COMPUTE
            and old.get(key, ...) != new.get(key, ...)
        ]
        if changed:
            self.logger.warning(
                f"{filename} is resumed with its own optimizer and schedulers: the config's {few(changed)} "
                "differ from them and are not used; start anew with load_from to use them"
            )

        others = [key for key in {**old, **new} if key.startswith(_COMPARED) and not key.endswith(_NOT_COMPARED)]
        other = [key for key in others if _differ(old.get(key, _NOTHING), new.get(key, _NOTHING))]
        if other:
            said = (f"{key} ({_said(old.get(key, _NOTHING))} -> {_said(new.get(key, _NOTHING))})" for key in other)
            self.logger.warning(
                f"{filename} was trained with another config, {len(other)} keys differ: {few(said)}; the run goes on "
                "with this one's"
            )

    @property
    def data_order(self) -> dict[str, int]:
        """What the order of the training images depends on, besides the seed."""
        stream = self.train_dataloader.batch_sampler
        return {
            "number of images": stream.length,
            "total batch size": stream.batch_size * stream.world_size,
            IMAGES_TOGETHER: stream.together,
        }

    def _dataset_classes(self) -> tuple[str, ...]:
        for loader in (self._train_dataloader, self._test_dataloader, self._val_dataloader):
            if loader is not None:
                dataset = loader["dataset"] if isinstance(loader, dict) else loader.dataset
                return dataset.metainfo["classes"]
        return ()


def _check_norms_stay(model: nn.Module, source: str) -> None:
    """Raise CheckpointError if training would undo batch normalisation that has become part of its convolutions.

    What is left of it adds a bias and does nothing else, as its statistics tell, also after a training that kept them.
    """
    parts = {
        name.partition(".")[0]
        for name, module in model.train().named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training and _is_identity(module)
    }
    if parts:
        remedy = " ".join(f"model.{part}.norm_eval=True" for part in sorted(parts))
        raise CheckpointError(
            f"{source} has its batch normalisation inside its convolutions, which the statistics of a batch would "
            f"undo: set {remedy}"
        )


def _is_identity(norm: nn.modules.batchnorm._BatchNorm) -> bool:
    """Tell whether a normalisation has the statistics with which it changes nothing; a new one has a variance of 1."""
    if norm.running_mean is None or norm.running_var is None:
        return False
    return not norm.running_mean.any() and bool(((norm.running_var + norm.eps - 1).abs() < 1e-6).all())


def check_checkpoint_classes(checkpoint: dict, classes: tuple[str, ...], source: str) -> None:
    """Raise CheckpointError if a checkpoint was trained on other classes, or on the same in another order."""
    trained = classes_in(checkpoint)
    if trained is not None and tuple(trained) != tuple(classes):
        raise CheckpointError(
            f"{source} was trained on {len(trained)} classes ({few(trained)}), but the data set has {len(classes)} "
            f"({few(classes)}); give the data set metainfo=dict(classes=...) in the checkpoint's order"
        )
