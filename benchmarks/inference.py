"""Inference of RetinaNet R50-FPN against torchvision's, and its postprocess: python benchmarks/inference.py

One image of 512 x 512 pixels, 80 classes, from the image as the loader gives it to detections. Torchvision runs in
float32, rdet in float32 and in bfloat16, made ready by `optimize_for_inference`. Weights are random, so the score
threshold is taken from the scores: one that leaves 100 candidates, and one that leaves 100,000. The postprocess alone
is timed on the same predictions.
"""

import copy
from collections.abc import Callable
from statistics import median

import torch
from side_by_side import arguments, report, spread, time_in_turns
from step import SIDE, Batch, networks

from rdet.engine.memory import keep_freed_memory

CANDIDATES = (100, 100_000)


def main() -> None:
    args = arguments("Inference").parse_args()
    keep_freed_memory()
    rows = []
    for candidates in CANDIDATES:
        whole, postprocess = contenders(candidates)
        seconds = time_in_turns(whole, args.rounds)
        seconds |= {f"postprocess of {name}": times for name, times in time_in_turns(postprocess, args.rounds).items()}
        for name, times in seconds.items():
            against = name.removeprefix("postprocess of ") if name.startswith("postprocess") else "torchvision"
            ratio = median(times) / median(seconds[against])
            print(f"{candidates} candidates, {name}: {spread(times)}, {ratio:.3f} of {against}", flush=True)
            rows.append({"candidates": candidates, "contender": name, "seconds": times, "of": against, "ratio": ratio})
    report(args.out, rows)


@torch.no_grad()
def contenders(candidates: int, side: int = SIDE) -> tuple[dict[str, Callable], dict[str, Callable]]:
    """Detection by each contender, and the postprocess of rdet's on what the network gave."""
    ours, theirs = networks(side)
    torch.manual_seed(2)
    images = Batch(count=1, side=side)
    data, (image_of_theirs, _) = images.for_rdet(), images.for_torchvision()
    batch = ours.data_preprocessor(data)["inputs"]
    for network in (ours, theirs):
        network.eval()
    # Scores as various as a trained head's: without this they are all 0.01; too large, and float32 rounds them to 1.
    scores_of_ours, scores_of_theirs = ours.bbox_head.conv_cls, theirs.head.classification_head.cls_logits
    torch.nn.init.normal_(scores_of_ours.weight)
    scores_of_ours.weight /= ours(batch).logits.std()
    scores_of_theirs.weight.copy_(scores_of_ours.weight)
    logits = ours(batch).logits.flatten()
    threshold = logits.sort(descending=True).values[candidates].sigmoid().item()
    ours.postprocess.score_thr = theirs.score_thresh = threshold
    ours.postprocess.max_per_img = theirs.detections_per_img = 100
    half = copy.deepcopy(ours)
    ours.optimize_for_inference()
    half.optimize_for_inference(torch.bfloat16)

    def call(work: Callable) -> Callable:
        @torch.no_grad()
        def quietly() -> object:
            return work()

        return quietly

    networks_ = {"rdet": ours, "rdet, bfloat16": half}
    whole = {"torchvision": call(lambda: theirs(image_of_theirs))} | {
        name: call(lambda network=network: network.test_step(data)) for name, network in networks_.items()
    }
    found, expected = whole["rdet"]()[0].pred_instances, whole["torchvision"]()[0]
    torch.testing.assert_close(found.scores, expected["scores"], rtol=1e-3, atol=1e-4)
    postprocess = {}
    for name, network in networks_.items():
        predictions = network(batch)
        priors = network.anchor_generator(predictions.level_sizes, batch.device)
        postprocess[name] = call(
            lambda network=network, predictions=predictions, priors=priors: network.predict(
                predictions, priors, data["data_samples"]
            )
        )
    return whole, postprocess


if __name__ == "__main__":
    main()
