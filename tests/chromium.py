"""A headless Chromium, told what to do through two pipes.

https://chromedevtools.github.io/devtools-protocol/
"""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Chromium:
    """One tab; leave the ``with`` to end the program."""

    def __init__(self, width: int = 1100, height: int = 800, dark: bool = False, seconds: float = 60):
        self._profile = tempfile.mkdtemp(prefix="rdet_chromium_")
        self._until = time.monotonic() + seconds
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        words = [PROGRAM, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
        words += [f"--user-data-dir={self._profile}", "--disable-dev-shm-usage", "--no-first-run", "about:blank"]
        # The program reads commands from descriptor 3 and answers on 4.
        shell = f"exec 3<&{theirs_in} 4>&{theirs_out}; exec " + " ".join(words)
        self._process = subprocess.Popen(
            ["bash", "-c", shell],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._read, self._number, self._session = b"", 0, None
        self.events: list[dict] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.resize(width, height)
        self.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
        )

    def __enter__(self) -> "Chromium":
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)
        shutil.rmtree(self._profile, ignore_errors=True)

    def resize(self, width: int, height: int) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def call(self, method: str, **params: Any) -> dict:
        """Sends a command and returns its result."""
        self._number += 1
        number = self._number
        session = {} if self._session is None else {"sessionId": self._session}
        os.write(self._out, json.dumps({"id": number, "method": method, "params": params, **session}).encode() + b"\0")
        while True:
            message = self._next()
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            if "method" in message:
                self.events.append(message)

    def run(self, script: str) -> Any:
        """Runs JavaScript in the page; returns the value, waited for if it is a promise."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait_for(self, script: str, seconds: float = 30) -> Any:
        """Waits until JavaScript gives something true."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if value := self.run(script):
                return value
            time.sleep(0.05)
        raise TimeoutError(f"{script} stays false; the page says {self.run('document.body.innerText')!r}")

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)
        self.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")

    def drop(self, *paths: Path, kind: str = "image/png") -> None:
        """Drops files onto the page, as a mouse would."""
        files = [[path.name, base64.b64encode(path.read_bytes()).decode()] for path in paths]
        self.run(
            f"""(() => {{
              const transfer = new DataTransfer();
              for (const [name, data] of {json.dumps(files)}) {{
                const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
                transfer.items.add(new File([bytes], name, {{ type: {json.dumps(kind)} }}));
              }}
              for (const name of ["dragover", "drop"])
                document.body.dispatchEvent(
                  new DragEvent(name, {{ dataTransfer: transfer, bubbles: true, cancelable: true }}));
            }})()"""
        )

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def complaints(self) -> list[str]:
        """What the browser says is wrong: errors of scripts, and of what the page may not load."""
        self.run("0")
        wrong = []
        for event in self.events:
            if event["method"] == "Runtime.exceptionThrown":
                wrong.append(str(event["params"]["exceptionDetails"]))
            elif event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
                wrong.append(event["params"]["entry"]["text"])
        return wrong

    def _next(self) -> dict:
        while b"\0" not in self._read:
            left = self._until - time.monotonic()
            if left <= 0 or not select.select([self._in], [], [], left)[0]:
                raise TimeoutError("Chromium does not answer")
            more = os.read(self._in, 2**20)
            if not more:
                raise RuntimeError("Chromium has ended")
            self._read += more
        message, _, self._read = self._read.partition(b"\0")
        return json.loads(message)
