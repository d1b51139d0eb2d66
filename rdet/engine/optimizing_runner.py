"""The optimizer of a run and its rates."""

from rdet.engine.building import building
from rdet.engine.logging_runner import LoggingRunner
from rdet.engine.optim_wrapper import check_optimizer, fused_on_a_gpu
from rdet.errors import ConfigError


class OptimizingRunner(LoggingRunner):
    """mmengine's Runner whose learning rate, and those that schedules name, are scaled to the real total batch."""

    _lr_factor = 1.0  # by which rates are scaled

    def build_optim_wrapper(self, optim_wrapper):
        if isinstance(optim_wrapper, dict) and isinstance(optim_wrapper.get("optimizer"), dict):
            device_type = next(self.model.parameters()).device.type
            optimizer = fused_on_a_gpu(optim_wrapper["optimizer"], device_type)
            optim_wrapper = {**optim_wrapper, "optimizer": optimizer}
        built = building("optim_wrapper", super().build_optim_wrapper)(optim_wrapper)
        check_optimizer(built.optimizer)
        return built

    def build_param_scheduler(self, scheduler):
        parts = [*scheduler] if isinstance(scheduler, list | tuple) else [scheduler]
        for index, part in enumerate(parts):
            if isinstance(part, dict):  # one that begins after the run is no error, and the run says so
                length = self.max_epochs if part.get("by_epoch", True) else self.max_iters
                parts[index] = {"end": max(length, part.get("begin", 0) + 1), **self._with_scaled_rates(part)}
        build = super().build_param_scheduler
        return [building(f"param_scheduler.{i}", build)(part)[0] for i, part in enumerate(parts)]

    def _with_scaled_rates(self, schedule: dict) -> dict:
        """Scale the rates that a schedule names itself as that of the optimizer is scaled."""
        if not str(schedule["type"]).endswith("LR"):
            return schedule
        named = {key: schedule[key] for key in ("eta_min", "eta_max", "min_value") if schedule.get(key)}
        scaled = {
            key: [v * self._lr_factor for v in value] if isinstance(value, list | tuple) else value * self._lr_factor
            for key, value in named.items()
        }
        return {**schedule, **scaled}

    def scale_lr(self, optim_wrapper, auto_scale_lr: dict | None = None) -> None:
        """Scale the learning rate linearly to the real total batch (Goyal et al., 2017).

        The total batch is processes x batch size x accumulated batches.
        """
        if not auto_scale_lr or not auto_scale_lr.get("enable", True):
            return
        if "base_batch_size" not in auto_scale_lr:
            raise ConfigError("auto_scale_lr has no base_batch_size: the total batch that the config's rate is for")
        counts = optim_wrapper._accumulative_counts
        batch = self.train_dataloader.batch_sampler.batch_size
        total, base = batch * self.world_size * counts, auto_scale_lr["base_batch_size"]
        self._lr_factor = total / base
        for group in optim_wrapper.optimizer.param_groups:
            group["lr"] *= self._lr_factor
        self.logger.info(
            f"learning rate x {total / base:g}: the total batch is {total} ({self.world_size} process(es) x {batch} "
            f"image(s) x {counts} accumulated) and the config's rate is for {base}; --no-auto-scale-lr turns this off"
        )
