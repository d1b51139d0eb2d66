"""The service under load, with batches and without: python benchmarks/serve.py [--clients N] [--requests N] ...

NanoDet-m with random weights behind HTTP on this machine, each contender in a process of its own. Clients, threads of
another process, send one JPEG file of 640 x 480 after the other and wait for each answer. The load is bounded: every
client sends as many requests as it is told. Contenders take turns; memory of the service is that after the first turn,
which is not counted, and after the last.
"""

import http.client
import multiprocessing
import threading
import time
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from side_by_side import arguments, report

CONFIG = Path(__file__).resolve().parents[1] / "configs/nanodet/nanodet_m_416_coco.py"
CLASSES = 80


def main() -> None:
    parser = arguments("The service under load", rounds=3)
    parser.add_argument(
        "--clients", type=int, nargs="+", default=[1, 8, 32], help="that send at once (default: 1 8 32)"
    )
    parser.add_argument("--requests", type=int, default=160, help="in each turn, shared among clients (default: 160)")
    parser.add_argument("--max-batch", type=int, nargs="+", default=[1, 8], help="contenders (default: 1 8)")
    parser.add_argument("--max-wait", type=float, default=5, help="milliseconds (default: 5)")
    parser.add_argument("--config", type=Path, default=CONFIG, help="of the detector (default: NanoDet-m's)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="of torch in the service (default: as many as there are cores)")
    args = parser.parse_args()
    rows = []
    for clients in args.clients:
        services = {
            size: Service(args.config, args.device, size, args.max_wait, args.threads) for size in args.max_batch
        }
        try:
            turns: dict[int, list[Load]] = {size: [] for size in services}
            memory: dict[int, list[float]] = {size: [] for size in services}
            for round_ in range(args.rounds + 1):
                for size, service in services.items():
                    load = send(service.port, clients, args.requests)
                    memory[size].append(service.megabytes())
                    if round_ > 0:
                        turns[size].append(load)
            batches = {size: service.mean_batch() for size, service in services.items()}
        finally:
            for service in services.values():
                service.stop()
        for size, loads in turns.items():
            rows.append(row(clients, size, loads, memory[size], batches[size]))
            print(shown(rows[-1]), flush=True)
    report(args.out, rows)


class Load:
    """What a turn came to.

    Attributes:
        seconds: Of the turn.
        answers: Seconds of each answer.
        refused: How many requests got another code than 200.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.answers: list[float] = []
        self.refused = 0


def send(port: int, clients: int, requests: int) -> Load:
    """Has clients send requests, as many in all as asked for."""
    load, body, start = Load(), picture(), threading.Barrier(clients + 1)

    def client(share: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        start.wait()
        for _ in range(share):
            begun = time.perf_counter()
            connection.request("POST", "/detect?score_thr=0.5", body)
            answer = connection.getresponse()
            answer.read()
            load.answers.append(time.perf_counter() - begun)
            load.refused += answer.status != 200
        connection.close()

    shares = [requests // clients + (index < requests % clients) for index in range(clients)]
    threads = [threading.Thread(target=client, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    start.wait()
    begun = time.perf_counter()
    for thread in threads:
        thread.join()
    load.seconds = time.perf_counter() - begun
    return load


def picture() -> bytes:
    """A JPEG file of 640 x 480 that is as hard to decode as a photograph."""
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8), (640, 480), interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(".jpg", cv2.add(image, rng.integers(0, 12, image.shape, dtype=np.uint8)))[1].tobytes()


class Service:
    """The service in a process of its own."""

    def __init__(self, config: Path, device: str, max_batch: int, max_wait: float, threads: int | None):
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(config, device, max_batch, max_wait, threads, theirs))
        self._process.start()
        theirs.close()
        if not ours.poll(600):
            raise TimeoutError("the service does not begin")
        self.port: int = ours.recv()
        while True:
            try:
                self._get("/ready")
                break
            except ConnectionError:
                time.sleep(0.05)

    def megabytes(self) -> float:
        """What the process holds."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmRSS"))

    def mean_batch(self) -> float:
        """Images that ran together, on average."""
        numbers = dict(line.rsplit(" ", 1) for line in self._get("/metrics").splitlines() if not line.startswith("#"))
        return float(numbers["rdet_batch_images_sum"]) / max(1.0, float(numbers["rdet_batch_images_count"]))

    def stop(self) -> None:
        self._process.terminate()
        self._process.join(60)
        if self._process.exitcode != 0:
            raise RuntimeError(f"the service ended with code {self._process.exitcode}")

    def _get(self, path: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", path)
        said = connection.getresponse().read().decode()
        connection.close()
        return said


def _serve(config: Path, device: str, max_batch: int, max_wait: float, threads: int | None, port) -> None:
    import torch

    from rdet.apis.inference import init_detector
    from rdet.serve.app import make_app
    from rdet.serve.limits import Limits
    from rdet.serve.server import bound_socket, run
    from rdet.serve.service import Service as Served
    from rdet.serve.service import Settings

    torch.manual_seed(0)
    if threads is not None:
        torch.set_num_threads(threads)
    options = {"model.num_classes": CLASSES}
    model = init_detector(config, device=device, cfg_options=options)
    model.optimize_for_inference()
    listener = bound_socket("127.0.0.1", 0)
    app = make_app(Served(model, Limits(), Settings(max_batch=max_batch, max_wait=max_wait / 1000)), "random", device)
    port.send(listener.getsockname()[1])
    run(app, listener)


def row(clients: int, max_batch: int, loads: list[Load], memory: list[float], mean_batch: float) -> dict:
    """The numbers of a contender."""
    answers = sorted(second for load in loads for second in load.answers)
    return {
        "clients": clients,
        "max_batch": max_batch,
        "mean_batch": mean_batch,
        "images_per_second": [len(load.answers) / load.seconds for load in loads],
        "median_ms": 1000 * median(answers),
        "95_percent_ms": 1000 * answers[int(0.95 * (len(answers) - 1))],
        "refused": sum(load.refused for load in loads),
        "megabytes_after_first_turn": memory[0],
        "megabytes_after_last_turn": memory[-1],
    }


def shown(row: dict) -> str:
    """A row, to read."""
    rates = row["images_per_second"]
    return (
        f"{row['clients']} clients, up to {row['max_batch']} together ({row['mean_batch']:.1f} on average): "
        f"{median(rates):.1f} images/s ({min(rates):.1f} to {max(rates):.1f}), "
        f"{row['median_ms']:.0f} ms, 95 % within {row['95_percent_ms']:.0f} ms, {row['refused']} refused, "
        f"{row['megabytes_after_first_turn']:.0f} MB then {row['megabytes_after_last_turn']:.0f} MB"
    )


if __name__ == "__main__":
    main()
