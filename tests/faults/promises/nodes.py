"""torchrun starts a job again; machines that lose each other end in a bounded time."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from promise import Outcome, Promise
from run_state import state_of
from runs import ROOT, Lab, free_port

from promises.crashes import compare, laboratory
from promises.processes import lines_of_a_run

_TIMEOUT = 10  # seconds for which a process of the run waits for another
_BOUND = 90.0  # seconds until all is over, torchrun's own waiting included


def started_again(seed: int, cases: range) -> Outcome:
    """torchrun --max-restarts starts all processes again when one was killed; --resume has them go on."""
    outcome = Outcome()
    with laboratory() as lab:
        for case in cases:
            with outcome.trying(case):
                rank, where = case % 2, ["training", "evaluation"][case // 2 % 2]
                death = {"type": "Dies", "rank": rank, "where": where, "iteration": 4, "even_resumed": True}
                wrong = []
                for name, hooks in (("whole", []), ("again", [death])):
                    config = lab.write_config(
                        f"{name}_{case}", lines_of_a_run(lab.tiny, 2, hooks, "train_cfg = dict(max_iters=6)\n")
                    )
                    folder = lab.folder / f"{name}_{case}"
                    words = ["train.py", str(config), "--work-dir", str(folder)]
                    first = [*words, "--cfg-options", "train_cfg.max_iters=2"]  # so that there is a checkpoint
                    ended = lab.run(first, f"{name}_{case}", 2)
                    if any(ended.codes):
                        raise RuntimeError(ended.said[-3000:])
                    code, said = _torchrun(lab, ["--max-restarts", "1"], [*words, "--resume", "auto"])
                    if code:
                        wrong.append(f"{name}: code {code}: {said[-6000:]}")
                if not wrong:
                    states = [state_of(lab.folder / f"{name}_{case}") for name in ("whole", "again")]
                    wrong += compare(*states, False)
                outcome.failures += [f"{case}: process {rank}, {where}: {reason}" for reason in wrong]
    return outcome


def _torchrun(lab: Lab, options: list[str], words: list[str]) -> tuple[int, str]:
    tool, *rest = words
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "--master-port",
        str(free_port()),
    ]
    command += [*options, str(ROOT / "tools" / tool), *rest, "--launcher", "pytorch"]
    ended = subprocess.run(command, cwd=lab.folder, env=_environment(), capture_output=True, text=True, timeout=300)
    return ended.returncode, ended.stdout + ended.stderr


def _environment() -> dict[str, str]:
    places = [str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places), "OMP_NUM_THREADS": "1"}


def cut_off(seed: int, cases: range) -> Outcome:
    """Two machines, each a network namespace with a process; the link between them goes down in the training."""
    outcome = Outcome()
    if os.geteuid() or shutil.which("ip") is None:
        outcome.count("not tried: needs root and iproute2")
        return outcome
    with laboratory() as lab:
        for case in cases:
            with outcome.trying(case):
                slow = [{"type": "IsSlow", "rank": 0, "seconds": 0.2}]
                more = f"env_cfg = dict(dist_cfg=dict(timeout={_TIMEOUT}))\n"
                more += "train_cfg = dict(max_iters=9999, val_interval=9999)\n"
                config = lab.write_config(f"nodes_{case}", lines_of_a_run(lab.tiny, 2, slow, more))
                folder = lab.folder / f"nodes_{case}"
                with _two_machines() as names:
                    agents = [_agent(lab, name, rank, config, folder) for rank, name in enumerate(names)]
                    wrong = _cut(agents, folder, names[1], back=case % 2 == 1, outcome=outcome)
                outcome.failures += [f"{case}: {reason}" for reason in wrong]
    return outcome


def _agent(lab: Lab, name: str, rank: int, config: Path, folder: Path) -> subprocess.Popen:
    command = ["ip", "netns", "exec", name, sys.executable, "-m", "torch.distributed.run", "--nnodes", "2"]
    command += [
        "--node-rank",
        str(rank),
        "--nproc-per-node",
        "1",
        "--master-addr",
        "10.77.0.1",
        "--master-port",
        "29511",
    ]
    command += [str(ROOT / "tools/train.py"), str(config), "--work-dir", str(folder), "--launcher", "pytorch"]
    environment = {**_environment(), "GLOO_SOCKET_IFNAME": f"{name}v"}
    output = open(lab.folder / f"{name}.txt", "w")  # noqa: SIM115
    return subprocess.Popen(
        command, cwd=lab.folder, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
    )


def _cut(agents, folder: Path, name: str, back: bool, outcome: Outcome) -> list[str]:
    try:
        deadline = time.monotonic() + 120
        while not (folder / "last_checkpoint").exists():
            if time.monotonic() > deadline or any(agent.poll() is not None for agent in agents):
                said = [Path(folder.parent / f"rdet{rank}.txt").read_text()[-1500:] for rank in (0, 1)]
                return [f"it does not begin: {said}"]
            time.sleep(0.1)
        _ip("netns", "exec", name, "ip", "link", "set", f"{name}v", "down")
        begun = time.monotonic()
        if back:
            time.sleep(2 * _TIMEOUT)
            _ip("netns", "exec", name, "ip", "link", "set", f"{name}v", "up")
        for agent in agents:
            with contextlib.suppress(subprocess.TimeoutExpired):
                agent.wait(max(0.1, begun + _BOUND - time.monotonic()))
        seconds = time.monotonic() - begun
        still = [agent.poll() is None for agent in agents]
        outcome.figures["seconds from the cut to the end, at most"] = max(
            seconds, outcome.figures.get("seconds from the cut to the end, at most", 0.0)
        )
        wrong = [f"still runs {seconds:.0f} s after the cut: {still}"] if any(still) else []
        said = (folder.parent / "rdet0.txt").read_text() + (folder.parent / "rdet1.txt").read_text()
        if said.count("another process of this run has ended or does not answer") < 1:
            wrong.append(f"no line: {said[-3000:]}")
        return wrong
    finally:
        for agent in agents:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(agent.pid, 9)
            agent.wait()


@contextmanager
def _two_machines() -> Iterator[list[str]]:
    names = ["rdet0", "rdet1"]
    for name in names:
        subprocess.run(["ip", "netns", "del", name], capture_output=True)
        _ip("netns", "add", name)
    try:
        _ip("link", "add", "rdet0v", "netns", "rdet0", "type", "veth", "peer", "name", "rdet1v", "netns", "rdet1")
        for number, name in enumerate(names, start=1):
            _ip("-n", name, "addr", "add", f"10.77.0.{number}/24", "dev", f"{name}v")
            _ip("-n", name, "link", "set", f"{name}v", "up")
            _ip("-n", name, "link", "set", "lo", "up")
        yield names
    finally:
        for name in names:
            _ip("netns", "del", name)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


PROMISES = [
    Promise(
        "processes-restart",
        "A job that torchrun starts again with --resume ends with the bits of an unbroken one",
        started_again,
        short=0,
        long=2,
    ),
    Promise(
        "processes-cut",
        "Two machines that lose each other end in a bounded time, in a line, also if the link comes back",
        cut_off,
        short=0,
        long=2,
        divides=False,
    ),
]
