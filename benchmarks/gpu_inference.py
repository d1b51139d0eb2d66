"""Inference on a GPU, beside torchvision's."""

import copy
from functools import partial

import torch
from on_a_gpu import kernels_of, measured, waits_of
from step import Batch, networks

from rdet.models.detectors.captured import Captured

SIDE, SIZE_OF_INFERENCE = 800, (800, 1333)


@torch.no_grad()
def inference() -> dict:
    ours, theirs = (network.cuda().eval() for network in networks(SIDE))
    theirs.transform.min_size, theirs.transform.max_size = (SIZE_OF_INFERENCE[0],), SIZE_OF_INFERENCE[1]
    theirs.to(memory_format=torch.channels_last)
    torch.manual_seed(2)
    sample = Batch(1, SIDE)
    # Scores as various as a trained head's, and a threshold that leaves some thousand candidates.
    torch.nn.init.normal_(ours.bbox_head.conv_cls.weight)
    inputs = ours.data_preprocessor(sample.for_rdet())["inputs"]
    ours.bbox_head.conv_cls.weight /= ours(inputs).logits.std()
    theirs.head.classification_head.cls_logits.weight.copy_(ours.bbox_head.conv_cls.weight)
    threshold = ours(inputs).logits.flatten().sort(descending=True).values[2000].sigmoid().item()
    ours.postprocess.score_thr = theirs.score_thresh = threshold
    half = copy.deepcopy(ours)
    half.optimize_for_inference(torch.bfloat16)
    rows, profiles, waits, shares = [], {}, {}, {}
    for count in (1, 16):
        batch = Batch(count, *SIZE_OF_INFERENCE)
        data = batch.for_rdet()
        data["inputs"] = [image.pin_memory() for image in data["inputs"]]
        images = [image.pin_memory() for image in batch.for_torchvision()[0]]

        def of_torchvision(images=images):
            with torch.autocast("cuda", dtype=torch.bfloat16):
                return theirs([image.cuda(non_blocking=True) for image in images])

        def of_rdet(data=data):
            return half.test_step(data)

        replayed = Captured(partial(predictions_of, half))

        def network_alone(data=data, replayed=replayed):
            return replayed(half.data_preprocessor(data)["inputs"])

        contenders = {"torchvision": of_torchvision, "rdet": of_rdet, "rdet without postprocess": network_alone}
        for name, call in contenders.items():
            call = torch.no_grad()(call)
            rows.append(measured(f"{name}, batch {count}", call, count, rounds=20))
            profiles[f"{name}, batch {count}"] = kernels_of(call, rows=12)
        captured, half.captured = half.captured, None
        rows.append(measured(f"rdet, nothing recorded, batch {count}", torch.no_grad()(of_rdet), count, rounds=20))
        half.captured = captured
        waits[f"batch {count}"] = waits_of(torch.no_grad()(of_rdet))
        whole, alone = (profiles[f"{name}, batch {count}"]["kernel_ms"] for name in list(contenders)[1:])
        shares[f"postprocess, batch {count}"] = 1 - alone / whole
    return {"rows": rows, "profile": profiles, "waits": waits, "part_of_the_kernels": shares}


@torch.no_grad()
def predictions_of(network: torch.nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and deltas."""
    with torch.autocast("cuda", dtype=torch.bfloat16):
        predictions = network.network(images)
    return predictions.logits, predictions.deltas
