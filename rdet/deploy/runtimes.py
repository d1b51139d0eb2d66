"""What runs exported files: a class for each kind of file."""

import warnings
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rdet.deploy.metadata import KEY
from rdet.deploy.packages import needed
from rdet.deploy.program_check import check_program
from rdet.errors import CheckpointError, ConfigError
from rdet.messages import in_one_line


class RunnableFile(ABC):
    """An exported file that is ready to run.

    Args:
        path: Of the file.
        device: ``'cpu'``, or another that it can run on.

    Raises:
        CheckpointError: The file cannot be loaded.
        ConfigError: There is no such device.
        MissingModuleError: What runs it is not installed.
    """

    name = ""

    @abstractmethod
    def __init__(self, path: str, device: str): ...

    @abstractmethod
    def __call__(self, images: np.ndarray, image_sizes: np.ndarray) -> list[np.ndarray]:
        """Run it on images (N, C, H, W) and their sizes (N, 2) int64; the outputs in the order of the metadata."""

    @staticmethod
    def best_device() -> str:
        """Return the fastest device there is."""
        return "cpu"

    def __deepcopy__(self, memo: dict) -> "RunnableFile":
        return self  # nothing of it changes


class OnnxFile(RunnableFile):
    """An ONNX file, run by ONNX Runtime."""

    name = "ONNX Runtime"

    def __init__(self, path: str, device: str):
        runtime = needed("onnxruntime", path)
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = torch.get_num_threads()
        kind, _, number = device.partition(":")
        provider: Any = "CPUExecutionProvider"
        if kind == "cuda":
            provider = ("CUDAExecutionProvider", {"device_id": int(number or 0)})
        valid = {"cpu", *(["cuda"] if _has_cuda(runtime) else [])}
        _check_device(self.name, device, valid, "install onnxruntime-gpu, or take the CPU")
        try:
            self._session = runtime.InferenceSession(path, options, providers=[provider])
        except Exception as error:  # of no common kind
            raise _unusable(path, self.name, error) from error

    def __call__(self, images: np.ndarray, image_sizes: np.ndarray) -> list[np.ndarray]:
        results: list[np.ndarray] = self._session.run(None, {"images": images, "image_sizes": image_sizes})
        return results

    @staticmethod
    def best_device() -> str:
        return "cuda:0" if _has_cuda(needed("onnxruntime", "an ONNX file")) else "cpu"


def _has_cuda(runtime: Any) -> bool:
    return torch.cuda.is_available() and "CUDAExecutionProvider" in runtime.get_available_providers()


class OpenVinoFile(RunnableFile):
    """A model of OpenVINO, run by it in float32: its own choice may be bfloat16, with other numbers."""

    name = "OpenVINO"

    def __init__(self, path: str, device: str):
        openvino = needed("openvino", path)
        _check_device(self.name, device, {"cpu"}, "take the CPU")
        if not Path(path).with_suffix(".bin").is_file():
            weights = Path(path).with_suffix(".bin")
            raise CheckpointError(
                f"{path} has its weights in {weights}, which is not there; put it there, or export it again"
            )
        hints = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        try:
            self._model = openvino.Core().compile_model(path, "CPU", hints)
        except Exception as error:  # its errors are RuntimeErrors of any cause
            raise _unusable(path, self.name, error) from error

    def __call__(self, images: np.ndarray, image_sizes: np.ndarray) -> list[np.ndarray]:
        found = self._model({"images": images, "image_sizes": image_sizes}, share_inputs=True)
        return [np.array(found[index]) for index in range(len(self._model.outputs))]


class ProgramFile(RunnableFile):
    """A program of ``torch.export``, run by torch."""

    name = "torch"

    def __init__(self, path: str, device: str):
        import torchvision  # noqa: F401  # whose nms the program may call

        check_program(path)
        try:
            program = torch.export.load(path)
        except Exception as error:  # whatever its reader meets in a damaged file
            raise _unusable(path, self.name, error) from error
        try:
            if torch.device(device).type != "cpu":
                from torch.export.passes import move_to_device_pass

                program = move_to_device_pass(program, device)
        except (RuntimeError, AssertionError) as error:
            raise ConfigError(f"device {device!r} cannot be used here ({in_one_line(str(error))})") from error
        self._device = device
        self._run = program.module()

    def __call__(self, images: np.ndarray, image_sizes: np.ndarray) -> list[np.ndarray]:
        inputs = [torch.from_numpy(array).to(self._device) for array in (images, image_sizes)]
        with torch.no_grad():
            return [output.cpu().numpy() for output in self._run(*inputs)]

    @staticmethod
    def best_device() -> str:
        return "cuda:0" if torch.cuda.is_available() else "cpu"


class ScriptFile(RunnableFile):
    """A file of TorchScript, run by torch. It is code, so that only what this process has written is run.

    Attributes:
        said: What it says of itself, as text.
    """

    name = "TorchScript"

    def __init__(self, path: str, device: str):
        extra = {KEY: ""}
        with warnings.catch_warnings():  # torch has given it up, which the documentation says
            warnings.simplefilter("ignore")
            self._run = torch.jit.load(path, map_location=device, _extra_files=extra)
        self.said = extra[KEY].decode() if isinstance(extra[KEY], bytes) else extra[KEY]

    def __call__(self, images: np.ndarray, image_sizes: np.ndarray) -> list[np.ndarray]:
        with torch.no_grad():
            return [output.numpy() for output in self._run(torch.from_numpy(images), torch.from_numpy(image_sizes))]


def _check_device(runtime: str, device: str, valid: set[str], remedy: str) -> None:
    if device.partition(":")[0] not in valid:
        raise ConfigError(f"{runtime} here does not run on device {device!r}; {remedy}")


def _unusable(path: str, runtime: str, error: Exception) -> CheckpointError:
    lines = [line for line in str(error).splitlines() if line.strip()]
    # OpenVINO begins with the places in its source.
    said = next((line for line in lines if not line.startswith(("Exception from", "Check '", "While validating"))), "")
    reason = in_one_line(said or "".join(lines[:1]))[:200]
    return CheckpointError(f"{path} cannot be loaded by {runtime} ({reason}); export it again")
