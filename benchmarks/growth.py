"""How a training step grows with images and pixels: python benchmarks/growth.py

RetinaNet R50-FPN in float32: time of an image in batches of 1 to 8 at 320 x 320 pixels; time and torch's memory of a
pixel for one image from 320 x 320 to 1333 x 1333. Flat columns are linear growth.
"""

from statistics import median

from side_by_side import arguments, peak_bytes, report, time_in_turns
from step import Batch, networks, step_of_rdet

from rdet.engine.memory import keep_freed_memory

BATCHES = (1, 2, 4, 8)
SIDES = (320, 480, 640, 800, 1066, 1333)


def main() -> None:
    args = arguments("Growth", rounds=3).parse_args()
    keep_freed_memory()
    network, _ = networks()
    rows = []
    steps = {count: step_of_rdet(network, Batch(count, SIDES[0])) for count in BATCHES}
    for count, seconds in time_in_turns(steps, args.rounds).items():
        milliseconds = 1000 * median(seconds) / count
        print(f"{count} images: {milliseconds:.0f} ms an image", flush=True)
        rows.append({"images": count, "seconds": seconds, "milliseconds_an_image": milliseconds})
    steps = {side: step_of_rdet(network, Batch(1, side)) for side in SIDES}
    for side, seconds in time_in_turns(steps, args.rounds).items():
        padded = -(-side // 32) * 32
        nanoseconds = 1e9 * median(seconds) / padded**2
        of_pixel = peak_bytes(steps[side]) / padded**2
        print(f"{side} x {side} pixels: {nanoseconds:.0f} ns and {of_pixel:.0f} bytes a pixel", flush=True)
        rows.append({"side": side, "seconds": seconds, "nanoseconds_a_pixel": nanoseconds, "bytes_a_pixel": of_pixel})
    report(args.out, rows)


if __name__ == "__main__":
    main()
