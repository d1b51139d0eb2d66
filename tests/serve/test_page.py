"""The page in a real browser: drop an image, see boxes, move the threshold."""

import socket
import threading

import pytest
import uvicorn
from chromium import PROGRAM, Chromium

from rdet.serve.app import make_app
from rdet.serve.limits import Limits
from rdet.serve.page import page
from rdet.serve.service import Service, Settings

needs_chromium = pytest.mark.skipif(PROGRAM is None, reason="needs Chromium")


@pytest.fixture
def address(model):
    """Where the service of the tiny detector answers, on a real port."""
    service = Service(model, Limits(max_bytes=100_000), Settings(score_thr=0.3))
    app = make_app(service, "tiny.pth", "cpu", frozenset({"127.0.0.1"}))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    server.should_exit = True
    thread.join()


def test_the_page_loads_nothing_from_elsewhere():
    html, policy = page()
    assert len(html) < 40_000
    assert "http://" not in html
    assert "https://" not in html
    assert policy.startswith("default-src 'none'; script-src 'sha256-")


@needs_chromium
def test_drop_an_image_and_move_the_threshold(address, data, tmp_path):
    count = "document.getElementById('count').textContent"
    status = "document.getElementById('status').textContent"
    pixels = "document.getElementById('canvas').toDataURL()"
    frame = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"

    def move(name: str, value: float) -> str:
        event = "new Event('input', {bubbles: true})"
        return f"{name}.value = {value}; {name}.dispatchEvent({event}); {frame}"

    with Chromium() as browser:
        browser.open(address)
        browser.wait_for("document.getElementById('model').textContent === 'tiny.pth'")
        assert browser.run("document.activeElement === document.body")
        browser.drop(data / "1.png")
        assert browser.wait_for(count) == browser.run(count)
        assert browser.run(status).startswith("1.png: 64 × 64 pixels")
        browser.run(move("threshold", 0))
        assert browser.run(count) == "20 of 20 objects"
        assert browser.run("document.querySelectorAll('#rows tr').length") == 20
        boxes = browser.run(pixels)
        browser.run(move("threshold", 1))
        assert browser.run(count).startswith("0 of 20 objects; the best scores 0.")
        assert browser.run(pixels) != boxes
        browser.run(move("threshold", 0))
        assert browser.run(pixels) == boxes
        switch = "document.querySelector('#classes input')"
        left = browser.run(f"{switch}.click(); {count}")
        assert left != "20 of 20 objects"

        text = tmp_path / "a.png"
        text.write_text("no image")
        browser.drop(text)
        browser.wait_for("document.querySelector('.status.wrong') !== null")
        assert browser.run(status) == "a.png: not an image that OpenCV can decode (8 bytes); mend or replace it"
        text.write_bytes(bytes(100_001))
        browser.drop(text)
        browser.wait_for(f"{status} === 'a.png has 100001 bytes; the service takes up to 100000'")
        assert browser.run(count) == left  # what was there stays
        browser.drop(data / "2.png")
        browser.wait_for(f"{status}.startsWith('2.png: 64')")
        assert browser.run("[...document.querySelectorAll('#strip button')].map((b) => b.textContent)") == [
            "1.png",
            "2.png",
        ]
        # What is dropped in quick succession comes in its order, and one that is no image does not stop the others.
        text.write_text("no image")
        for path in (data / "3.png", text, data / "4.png"):
            browser.drop(path)
        browser.wait_for(f"{status}.startsWith('4.png: 64')")
        names = "[...document.querySelectorAll('#strip button')].map((b) => b.textContent)"
        assert browser.run(names) == ["1.png", "2.png", "3.png", "4.png"]
        assert browser.run("document.querySelector('#strip [aria-pressed=true]').textContent") == "4.png"
        browser.drop(text, data / "5.png")
        browser.wait_for(f"{status}.startsWith('a.png: not an image')")
        assert browser.run(names)[4:] == ["5.png"]
        assert not browser.run("document.getElementById('lists').hidden")
        browser.run("shown.answer.detections = []; update()")
        assert browser.run(count) == "nothing was found in this image"
        assert browser.run("document.getElementById('lists').hidden")
        assert [said for said in browser.complaints() if "415" not in said] == []
