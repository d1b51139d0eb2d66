"""`rdet serve` under clients that mean no good: python benchmarks/hostile.py CHECKPOINT [options of rdet serve]

Starts the command as it is, and has clients send images, damaged and oversized ones, bombs, forms with tricks in their
names, broken headers, and hang up in the midst. The load is bounded: as many requests as are asked for. No answer may
have a code of 500 or more, one of 400 or more has one line of at most 600 characters, and the service has to answer in
the end; else the command ends with code 1.

Of memory it says what the service holds after each part, once it has had time to give back what was freed.
`--ordinary` sends photographs of many sizes alone.
"""

import argparse
import contextlib
import json
import random
import re
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from hostile_requests import TRICKS, UNANSWERED, Trick, ordinary, request

REST = 25  # seconds; the service gives memory back every 10


def main() -> None:
    parser = argparse.ArgumentParser(description="The service under clients that mean no good")
    parser.add_argument("model", help="checkpoint or exported file, as rdet serve takes it")
    parser.add_argument("--requests", type=int, default=6000, help="in all (default: 6000)")
    parser.add_argument("--every", type=int, default=2000, help="requests after which memory is read (default: 2000)")
    parser.add_argument("--clients", type=int, default=12, help="that send at once (default: 12)")
    parser.add_argument("--ordinary", action="store_true", help="send photographs of many sizes alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="json file for the numbers")
    args, more = parser.parse_known_args()
    command = [sys.executable, "-m", "rdet", "serve", args.model, "--port", "0", *more]
    log = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines: list[str] = []
    port = port_of(log, lines)
    threading.Thread(target=lambda: lines.extend(log.stdout or ()), daemon=True).start()
    tricks = [ordinary] if args.ordinary else TRICKS
    rows, wrong = [], []
    try:
        rows.append(state(log.pid, 0, Counter()))
        print(json.dumps(rows[-1]), flush=True)
        codes: Counter[str] = Counter()
        for start in range(0, args.requests, args.every):
            begun, end = time.monotonic(), min(args.requests, start + args.every)
            wrong += send(port, range(start, end), args, tricks, codes)
            busy, seconds = megabytes(log.pid), time.monotonic() - begun
            time.sleep(REST)
            rows.append({**state(log.pid, end, codes), "megabytes_busy": busy, "seconds": seconds})
            print(json.dumps(rows[-1]), flush=True)
        alive = b" 200 " in exchange(port, request("GET", "/ready"), 0)[:20]
    finally:
        log.terminate()
        begun = time.monotonic()
        try:
            code = log.wait(120)
        except subprocess.TimeoutExpired:
            log.kill()
            code = "none: it did not end within 120 seconds"
        print(f"ended after {time.monotonic() - begun:.1f} s")
    noise = [line for line in lines if "Traceback" in line or "Error" in line]
    for what in [*wrong[:20], *noise[:20]]:
        print(what)
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1) + "\n")
    print(f"{len(wrong)} wrong answers, {len(noise)} errors in the log, ended with code {code}")
    sys.exit(bool(wrong or noise or code or not alive))


def port_of(log: subprocess.Popen, lines: list[str]) -> int:
    """Waits until the command says where it answers."""
    assert log.stdout is not None
    for line in log.stdout:
        lines.append(line)
        if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
            return int(found[1])
    sys.exit("".join(lines))


def megabytes(pid: int, what: str = "VmRSS") -> float:
    """What the process holds."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith(what))


def state(pid: int, requests: int, codes: Counter) -> dict:
    """The service after a number of requests."""
    folder = Path(f"/proc/{pid}")
    return {
        "requests": requests,
        "megabytes": megabytes(pid),
        "most_megabytes": megabytes(pid, "VmHWM"),
        "threads": len(list((folder / "task").iterdir())),
        "open_files": len(list((folder / "fd").iterdir())),
        "codes": dict(sorted(codes.items())),
    }


def send(port: int, numbers: range, args: argparse.Namespace, tricks: list[Trick], codes: Counter) -> list[str]:
    """Has clients send the requests of these numbers, and returns what was answered as it should not be."""
    wrong: list[str] = []
    queue, lock = iter(numbers), threading.Lock()

    def client() -> None:
        while True:
            with lock:
                number = next(queue, None)
            if number is None:
                return
            rng = random.Random(args.seed * 1_000_003 + number)
            trick = tricks[number % len(tricks)]
            sent, seconds = trick(rng)
            try:
                answer = exchange(port, sent, seconds)
            except OSError as error:
                answer = f"{type(error).__name__}".encode()
            said = judged(answer, seconds > 0, sent.startswith(b"HEAD "), trick in UNANSWERED)
            with lock:
                codes[said[0]] += 1
                if said[1]:
                    wrong.append(f"{trick.__name__} (request {number}): {said[1]}")

    threads = [threading.Thread(target=client) for _ in range(args.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


def exchange(port: int, sent: bytes, seconds: float) -> bytes:
    """Sends bytes and reads until the service hangs up, or hangs up itself after some seconds."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as wire:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused while it was still sent
            wire.sendall(sent)
        if seconds:
            time.sleep(seconds)
            return b""
        answer = b""
        try:
            while part := wire.recv(1 << 16):
                answer += part
        except ConnectionResetError:  # what was not read was thrown away with the connection
            pass
        return answer


def judged(answer: bytes, hung_up: bool, no_body: bool, may_be_cut: bool) -> tuple[str, str]:
    """What came back, in a word, and what is wrong with it, if anything."""
    if hung_up:
        return "hung up", ""
    if not answer:
        return "no answer", "" if may_be_cut else "the connection was closed without an answer"
    head, _, body = answer.partition(b"\r\n\r\n")
    found = re.match(rb"HTTP/1\.1 (\d{3})", head)
    if not found:
        return "other", f"no answer of HTTP: {answer[:100]!r}"
    code = int(found[1])
    if code >= 500:
        return str(code), f"code {code}: {body[:200]!r}"
    if code >= 400 and b"application/json" in head and not no_body:
        length = re.search(rb"content-length: (\d+)", head.lower())
        said = json.loads(body[: int(length[1])] if length else body)["error"]
        if "\n" in said or not said or len(said) > 600:
            return str(code), f"code {code}: not one short line: {said[:200]!r}"
    return str(code), ""


if __name__ == "__main__":
    main()
