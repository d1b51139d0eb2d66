"""mmengine's Runner, with what rdet expects of it."""

import os
from pathlib import Path

import torch
from mmengine import runner as mm
from mmengine.dataset import pseudo_collate
from mmengine.dist import get_dist_info, is_main_process
from mmengine.model import MMDistributedDataParallel, is_model_wrapper
from mmengine.optim import OptimWrapper
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from rdet.compat import recompute_for_all_gradients
from rdet.config_keys import train_loop
from rdet.engine.building import building
from rdet.engine.checkpointing import CheckpointingRunner
from rdet.engine.cuda_graphs import use_cuda_graphs
from rdet.engine.distributed import average_in_order, cpu_only, join_processes
from rdet.engine.hooks.checkpoint_hook import CheckpointHook
from rdet.engine.hooks.progress_hook import progress_of
from rdet.engine.interrupt import ending_at_signals, leave_interrupts_to_the_run
from rdet.engine.loader import Collate, Loader
from rdet.engine.memory import keep_freed_memory
from rdet.engine.sampling import SeededDataset, StridedBatches, TrainStream, images_of, orientations_of, sizes_of
from rdet.errors import ConfigError, Interrupted, NonFiniteDetectionError, interruption_behind
from rdet.models.detectors.one_stage_detector import made_of_parts
from rdet.processes import check_all_have_the_same
from rdet.registry import LOOPS, function_named

recompute_for_all_gradients()

_HOOKS_OF_MMENGINE = ("runtime_info", "timer", "sampler_seed", "logger", "param_scheduler", "checkpoint")


class Runner(CheckpointingRunner):
    """Trains, resumes and evaluates a detector; mmengine's Runner does the work.

    What differs: the data order continues exactly after a resume; the learning rate is scaled to the real total batch;
    processes without a GPU can train together.
    """

    # What mmengine's Runner calls while it sets itself up. What it builds itself is told where in the config it is.

    build_evaluator = building("val_evaluator", mm.Runner.build_evaluator)
    register_default_hooks = building("default_hooks", mm.Runner.register_default_hooks)

    def register_hooks(self, default_hooks=None, custom_hooks=None) -> None:
        # mmengine knows of None, for a hook that is left out, at its own alone.
        known = {k: v for k, v in (default_hooks or {}).items() if v is not None or k in _HOOKS_OF_MMENGINE}
        super().register_hooks(known, custom_hooks)
        if is_main_process() and (progress := progress_of(self.logger)) is not None:
            self.register_hook(progress)

    def register_custom_hooks(self, hooks) -> None:
        for index, hook in enumerate(hooks or ()):
            building(f"custom_hooks.{index}", self.register_hook)(hook)

    def setup_env(self, env_cfg: dict) -> None:
        if cpu_only():
            keep_freed_memory()
        join_processes(self.launcher, env_cfg)
        super().setup_env(env_cfg)

    def set_randomness(self, seed, diff_rank_seed: bool = False, deterministic: bool = False) -> None:
        if deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it, torch refuses products on a GPU
        super().set_randomness(seed, diff_rank_seed, deterministic)

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        # Gradients lie where they are exchanged: their memory is needed once, and nothing is copied. No `static_graph`:
        # what is trained may change between epochs (`model.initial`), and torch finds nothing unused without it either.
        options = {
            "broadcast_buffers": False,
            "find_unused_parameters": self.cfg.get("find_unused_parameters", False),
            "gradient_as_bucket_view": True,
        }
        if not self.distributed or is_model_wrapper(model):
            model = super().wrap_model(model_wrapper_cfg, model)
        elif cpu_only():
            model = MMDistributedDataParallel(model, **options)
        else:
            model = super().wrap_model(model_wrapper_cfg or options, model)
        if self.deterministic and self.world_size > 2 and isinstance(model, DistributedDataParallel):
            model.register_comm_hook(None, average_in_order)
        return model

    @staticmethod
    def build_dataloader(dataloader, seed: int | None = None, diff_rank_seed: bool = False) -> DataLoader:
        """Build a loader over a built data set: an endless stream to train, each image once to evaluate."""
        if isinstance(dataloader, DataLoader):
            return dataloader
        options = dict(dataloader)
        dataset, batch_size = options.pop("dataset"), options.pop("batch_size", 1)
        rank, world_size = get_dist_info()
        grouping = options.pop("aspect_ratio_grouping", False)
        if isinstance(dataset, SeededDataset):
            groups = orientations_of(dataset.dataset) if grouping else None
            options["batch_sampler"] = TrainStream(len(dataset), batch_size, rank, world_size, groups)
        elif grouping:
            raise ConfigError(
                "aspect_ratio_grouping is of train_dataloader: images to evaluate are in batches of one size anyway; "
                "leave it out of the others"
            )
        else:
            sizes = sizes_of(dataset) if batch_size > 1 else [None] * len(dataset)
            options["batch_sampler"] = StridedBatches(sizes, batch_size, rank, world_size)
        if not options.get("num_workers"):
            options.pop("persistent_workers", None)  # torch refuses it without workers
            options.pop("timeout", None)  # nobody is waited for
        for key in ("collate_fn", "worker_init_fn"):
            if isinstance(options.get(key), str):
                options[key] = function_named(options[key], key)
        options.setdefault("worker_init_fn", _begin_worker)
        options.setdefault("pin_memory", torch.cuda.is_available())  # to copy images to the GPU while it works
        collate = options.pop("collate_fn", None)
        return Loader(dataset, collate_fn=pseudo_collate if collate is None else Collate(collate), **options)

    # A run ends its loaders' workers, whether it is done, fails or is interrupted.

    def train(self) -> nn.Module:
        """Train. Ctrl-C and SIGTERM end it between two steps, with a checkpoint.

        Raises:
            Interrupted: It was asked to end.
        """
        try:
            with ending_at_signals(self._has_no_open_step) as self.interruption:
                try:
                    return super().train()
                except NonFiniteDetectionError as error:
                    begun = f", begun from {self._load_from}" if self._load_from else ""
                    raise NonFiniteDetectionError(f"iteration {self.iter}{begun}: {error}") from None
                except (Interrupted, Exception) as error:
                    if (ended := interruption_behind(error)) is not None:
                        raise Interrupted(ended.number, f"{ended} {self._save_where_it_stopped()}") from None
                    if self.interruption.signal is None or is_main_process():
                        raise
                    raise Interrupted(self.interruption.signal) from None  # the first process has left
        finally:
            self._end_workers()

    def _has_no_open_step(self) -> bool:
        """Tell whether all gradients are in the weights; only alone can a process save those that are not."""
        return (
            not self.distributed
            or not isinstance(self.optim_wrapper, OptimWrapper)
            or self.optim_wrapper.should_update()
        )

    def _save_where_it_stopped(self) -> str:
        """Write a checkpoint of the steps that were done, unless there is one; say how to go on."""
        loop = self._train_loop
        if not isinstance(loop, mm.BaseLoop) or loop.iter == 0:
            return "before the first step: nothing is lost"
        where = f"after iteration {loop.iter}"
        hook = next((hook for hook in self.hooks if isinstance(hook, CheckpointHook)), None)
        if hook is None:
            return f"{where}; there is no CheckpointHook, so nothing was saved"
        name = hook.save_now(self)
        if name is None:
            return f"{where}, before a checkpoint was written"
        return f"{where}; {Path(self.work_dir) / name} is saved. Go on with the same command and --resume"

    @property
    def iter(self) -> int:
        """Iterations of the training so far; 0 where none has begun. mmengine's would load its data to tell."""
        return self._train_loop.iter if isinstance(self._train_loop, mm.BaseLoop) else 0

    @property
    def epoch(self) -> int:
        """Epochs of the training so far, as :attr:`iter`."""
        return self._train_loop.epoch if isinstance(self._train_loop, mm.BaseLoop) else 0

    def val(self) -> dict:
        try:
            return super().val()
        finally:
            self._end_workers()

    def test(self) -> dict:
        try:
            return super().test()
        except NonFiniteDetectionError as error:
            raise NonFiniteDetectionError(f"{self._load_from or 'weights at random'}: {error}") from None
        finally:
            self._end_workers()

    def _end_workers(self) -> None:
        for loop in (self._train_loop, self._val_loop, self._test_loop):
            loader = getattr(loop, "dataloader", None)  # a loop that is not built yet is a dict
            if isinstance(loader, Loader):
                loader.end_workers()

    def _maybe_compile(self, target: str) -> None:
        """Compile the network, as ``compile`` says: True, or options of :func:`torch.compile`.

        mmengine would compile the whole of ``target``, the step with its data and its optimizer.
        """
        options = self.cfg.get("compile")
        model = self.model.module if is_model_wrapper(self.model) else self.model
        if options is not None and options is not False:
            building("compile", model.compile)(**({} if options is True else options))
            self.logger.info("the network is compiled in its first steps, which takes a minute or more")
        if self.cfg.get("cuda_graphs"):
            use_cuda_graphs(self, made_of_parts(model, "cuda_graphs"))

    def build_train_loop(self, loop):
        if isinstance(self._train_dataloader, dict):
            _check_images("train_dataloader", self._train_dataloader["dataset"])
            dataset = SeededDataset(self._train_dataloader["dataset"])
            self._train_dataloader = {**self._train_dataloader, "dataset": dataset}
        if isinstance(loop, dict):
            options = {k: v for k, v in loop.items() if k != "by_epoch"}
            self.log_processor.by_epoch = loop.get("by_epoch", "minutes" not in loop)
            loader = building("train_dataloader", self.build_dataloader)(self._train_dataloader)
            given = {"runner": self, "dataloader": loader}
            return LOOPS.build({"type": train_loop(loop), **options}, default_args=given)
        return super().build_train_loop(loop)

    def build_val_loop(self, loop):
        self._val_dataloader = building("val_dataloader", self.build_dataloader)(self._val_dataloader)
        _check_images("val_dataloader", self._val_dataloader.dataset)
        return _attach_dataset(super().build_val_loop({"type": "ValLoop", **loop} if isinstance(loop, dict) else loop))

    def build_test_loop(self, loop):
        self._test_dataloader = building("test_dataloader", self.build_dataloader)(self._test_dataloader)
        _check_images("test_dataloader", self._test_dataloader.dataset)
        return _attach_dataset(super().build_test_loop(loop))


def _begin_worker(worker: int) -> None:
    """Keep freed memory in a worker, for which every image is a few blocks of some megabytes; the run ends it."""
    keep_freed_memory()
    leave_interrupts_to_the_run()


def _check_images(key: str, dataset) -> None:
    """Raise RdetError if processes found other images to be good, as where one could not read what others could."""
    remedy = "each leaves out what it cannot read; see its log, and start again, or list the images with image_list"
    check_all_have_the_same(images_of(dataset), f"images in {key}", remedy)


def _attach_dataset(loop):
    """Hand the data set to the metrics that take their ground truth from it."""
    for metric in loop.evaluator.metrics:
        if hasattr(metric, "set_dataset"):
            metric.set_dataset(loop.dataloader.dataset)
    return loop
