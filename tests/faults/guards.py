"""Guards of rdet, and for each the test that must fail without it: one line a guard.

``python tests/faults/mutations.py`` takes each away in a copy of the tree and runs its test.
"""

from typing import NamedTuple


class Guard(NamedTuple):
    """A piece of code whose absence some test must notice.

    Attributes:
        file: Where it is.
        text: The code; it is there once.
        without: What stands there when it is gone.
        test: A test that must fail then, as pytest names it.
    """

    file: str
    text: str
    without: str
    test: str


_FILES = "rdet/files.py"
_CHECKPOINTS = "rdet/engine/checkpoint_files.py"
_HOOK = "rdet/engine/hooks/checkpoint_hook.py"
_RUNNER = "rdet/engine/runner.py"
_LOGGING = "rdet/engine/logging_runner.py"
_CHECKPOINTING = "rdet/engine/checkpointing.py"
_T_FILES = "tests/test_files.py::"
_T_CHECKPOINTS = "tests/engine/test_checkpoints.py::"
_T_INTERRUPT = "tests/engine/test_interrupt.py::"
_T_RESUME = "tests/engine/test_resume.py::"
_T_LOG = "tests/engine/test_log_files.py::"

# fmt: off
GUARDS = [
    # Whole or not at all.
    Guard(_FILES, "part = target.with_name(", "part = target or (", _T_FILES + "test_what_cannot_be_written_leaves_what_was_there"),
    Guard(_FILES, "part.unlink(missing_ok=True)", "pass", _T_FILES + "test_what_cannot_be_written_leaves_what_was_there"),
    Guard(_FILES, "os.fsync(file.fileno())\n            os.replace", "pass\n            os.replace", _T_FILES + "test_it_is_on_the_disk_before_it_has_its_name"),
    Guard(_FILES, "_flush_folder(target.parent)", "pass", _T_FILES + "test_it_is_on_the_disk_before_it_has_its_name"),
    Guard(_FILES, "Path(os.path.realpath(path))", "Path(path)", _T_FILES + "test_a_link_stays_a_link"),
    Guard(_FILES, "if target.exists() and not target.is_file():", "if False:", _T_FILES + "test_what_is_no_file_is_written_to"),
    Guard(_FILES, "raise OutputError(f\"cannot write", "raise\n        raise OutputError(f\"cannot write", _T_FILES + "test_an_error_names_the_file_and_the_remedy"),
    Guard("rdet/apis/infer/writers/coco.py", "self._images.cut(before[0])", "pass", "tests/apis/infer/test_writers_of_detections.py::test_an_image_is_noted_with_its_detections_or_not_at_all"),
    # Checkpoints.
    Guard(_HOOK, "        self._write(runner, name, meta)\n        self._name_last()\n", "        self._remove_outdated()\n        self._write(runner, name, meta)\n        self._name_last()\n", _T_CHECKPOINTS + "test_a_power_cut_at_any_write_loses_nothing"),
    Guard(_HOOK, "            self._last = self._saved[-1], runner.iter\n", "            pass\n", _T_CHECKPOINTS + "test_an_evaluation_that_was_killed_is_done_first"),
    Guard(_HOOK, "            self._name_last()  # a kill", "            pass  # a kill", _T_CHECKPOINTS + "test_what_a_kill_left_undone_is_done_when_the_run_goes_on"),
    Guard(_HOOK, "        self._remove_outdated()  # a kill", "        pass  # a kill", _T_CHECKPOINTS + "test_what_a_kill_left_undone_is_done_when_the_run_goes_on"),
    Guard(_HOOK, "if name not in in_use:", "if True:", _T_CHECKPOINTS + "test_what_is_in_use_again_is_not_removed"),
    Guard(_HOOK, "if own.get(\"folder\") != str(self._folder.resolve()):", "if False:", _T_CHECKPOINTS + "test_a_run_removes_only_what_it_wrote"),
    Guard("rdet/engine/best_scores.py", "and name == Path(name).name]", "]", _T_CHECKPOINTS + "test_a_run_removes_only_what_it_wrote"),
    Guard(_HOOK, "            remove_leftovers(self._folder)", "            pass", _T_CHECKPOINTS + "test_leftovers_of_a_kill_go_when_the_run_goes_on"),
    Guard(_HOOK, "checkpoint[GRADIENTS] = self._gradients", "pass", _T_RESUME + "test_a_step_of_several_batches_goes_on_between_them"),
    Guard(_CHECKPOINTS, "            check_whole(path)\n", "            pass\n", _T_CHECKPOINTS + "test_the_newest_that_is_whole_is_found"),
    Guard("rdet/checkpoint_file.py", "if infos and min(info.header_offset for info in infos) > 0:", "if False:", _T_CHECKPOINTS + "test_one_that_only_zipfile_can_read_is_passed_over"),
    Guard(_CHECKPOINTS, "files = [*since, named, *others[len(since) :]]", "files = [named, *others]", _T_CHECKPOINTS + "test_one_that_was_written_since_the_last_was_named_is_newer"),
    Guard("rdet/engine/loops.py", "if loop.iter > 0 and evaluated != loop.iter and", "if False and", _T_CHECKPOINTS + "test_an_evaluation_that_was_killed_is_done_first"),
    Guard("rdet/engine/hooks/logger_hook.py", "flush(path)", "pass", _T_LOG + "test_an_evaluation_is_on_the_disk_before_a_checkpoint_says_so"),
    # The log.
    Guard("rdet/engine/log_files.py", "        with writing(file_path, self.then()):\n", "        if True:\n", _T_LOG + "test_a_full_disk_is_one_line"),
    Guard(_LOGGING, "        end_run_if_log_is_lost(logger, self._how_to_go_on)\n", "", _T_LOG + "test_a_full_disk_is_one_line"),
    Guard(_LOGGING, "write_text(Path(self.work_dir) / name, self.cfg.pretty_text, self._how_to_go_on())", "self.cfg.dump(Path(self.work_dir) / name)", _T_LOG + "test_a_config_is_written_whole"),
    # Signals.
    Guard("rdet/engine/interrupt.py", "if again or (not self._in_a_step and self._obeys()):", "if again or self._obeys():", _T_INTERRUPT + "test_it_saves_and_goes_on_to_the_same_bits"),
    Guard("rdet/engine/interrupt.py", "        signal.signal(number, signal.SIG_IGN)", "        pass", _T_INTERRUPT + "test_the_command_ends_in_one_line"),
    Guard("rdet/errors.py", "class Interrupted(BaseException):", "class Interrupted(Exception):", _T_INTERRUPT + "test_the_log_does_not_take_it_for_an_error"),
    Guard("rdet/errors.py", "behind = behind.__cause__ or behind.__context__", "behind = None", _T_INTERRUPT + "test_an_error_that_another_library_makes_of_it_is_not_said"),
    Guard("rdet/apis/cli.py", "        with signals_call(), naming", "        with naming", _T_INTERRUPT + "test_a_tool_ends_in_one_line"),
    Guard("rdet/args.py", "            end_at_once_at_signals()\n", "            pass\n", _T_INTERRUPT + "test_a_tool_that_still_imports_ends_in_one_line"),
    Guard("rdet/signals.py", "    sys.excepthook = _end_in_one_line\n", "", _T_INTERRUPT + "test_a_tool_that_still_imports_ends_in_one_line"),
    # Several processes.
    Guard(_RUNNER, "or self.optim_wrapper.should_update()", "or True", _T_INTERRUPT + "test_two_processes_end_together"),
    Guard(_RUNNER, "            model.register_comm_hook(None, average_in_order)\n", "            pass\n", "tests/faults/test_promises.py::test_promises_are_kept[processes-die]"),
    Guard("rdet/apis/cli.py", "with signals_call(), naming_lost_processes():", "with signals_call():", "tests/faults/test_promises.py::test_promises_are_kept[processes-die]"),
    # Configs in checkpoints are read, not run.
    Guard(_CHECKPOINTING, "before = Config(literal_config(meta[\"cfg\"]))", "before = Config.fromstring(meta[\"cfg\"], \".py\")", _T_RESUME + "test_a_config_in_a_checkpoint_is_not_run"),
    Guard(_CHECKPOINTING, "for key, value in meta_in(checkpoint).items() if key != \"config\"", "for key, value in meta_in(checkpoint).items()", _T_RESUME + "test_a_config_in_a_checkpoint_is_not_run"),
    Guard("rdet/checkpoint.py", "map_location=map_location, weights_only=True)", "map_location=map_location, weights_only=False)", "tests/test_checkpoint.py"),
    # What a run begins with.
    Guard("rdet/engine/loops.py", "        check_plan(self.runner)\n        self.runner.call_hook(\"before_train\")\n        self.runner", "        self.runner.call_hook(\"before_train\")\n        self.runner", "tests/engine/test_plan.py::test_schedules"),
    Guard("rdet/engine/optimizing_runner.py", "        check_optimizer(built.optimizer)\n", "", "tests/engine/test_plan.py::test_what_would_fail_on_the_way_fails_first"),
    Guard("rdet/engine/distributed.py", "dist.PrefixStore(f\"attempt_{attempt}\", store)", "store", "tests/engine/test_distributed.py::test_processes_that_are_started_again_do_not_meet_those_before"),
    Guard("rdet/models/detectors/data_preprocessor.py", "        _check_packed(data, training)\n", "", "tests/engine/test_plan.py::test_what_a_pipeline_must_give_is_said"),
]
# fmt: on
