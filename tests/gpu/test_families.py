"""Each family computes on a GPU what it computes on the CPU, and its step waits for nothing."""

import copy
import warnings

import families
import pytest
import torch

from rdet.models.norms import GroupNorm

pytestmark = pytest.mark.gpu


def assert_close(found, expected, rtol):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name].cpu(), value, rtol=rtol, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}")


def moved(predictions, device):
    fields = {
        name: value.to(device) for name, value in predictions._asdict().items() if isinstance(value, torch.Tensor)
    }
    return predictions._replace(**fields)


@pytest.mark.parametrize("family", families.FAMILIES)
@pytest.mark.parametrize("epoch", [0, families.LATE])
def test_losses_and_gradients_are_the_cpus(family, epoch):
    if epoch == 0 and "tood" not in family:
        pytest.skip("every epoch of it is the same")
    data = families.batch()
    on_cpu = families.detector(family, epoch)
    on_gpu = copy.deepcopy(on_cpu).cuda()
    rtol = 1e-2 if family in families.NORMALISED else 1e-4
    assert_close(families.losses(on_gpu, data), families.losses(on_cpu, data), rtol=rtol)
    # What rounding turns round, such as a ReLU at zero, moves gradients of float32 by a few thousandths.
    on_cpu, on_gpu = on_cpu.double(), on_gpu.double()
    expected, found = families.losses(on_cpu, data), families.losses(on_gpu, data)
    assert_close(found, expected, rtol=1e-5)
    sum(expected.values()).backward()
    sum(found.values()).backward()
    far = {}
    for (name, one), other in zip(on_cpu.named_parameters(), on_gpu.parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None), name
        if one.grad is not None:
            error = ((other.grad.cpu() - one.grad).norm() / one.grad.norm().clamp(min=1e-6)).item()
            if error > 1e-4:
                far[name] = error
    assert not far


@pytest.mark.parametrize("family", families.FAMILIES)
def test_detections_are_the_cpus(family):
    data = families.batch()
    on_cpu = families.detector(family).eval()
    on_cpu.postprocess.score_thr = 0.0
    on_gpu = copy.deepcopy(on_cpu).cuda()
    with torch.no_grad():
        inputs = on_cpu.data_preprocessor(data)["inputs"]
        expected = on_cpu(inputs)
        found = on_gpu(on_gpu.data_preprocessor(data)["inputs"])
        for name, value in expected._asdict().items():
            if isinstance(value, torch.Tensor):  # rounding is of the largest numbers on the way
                atol = 2e-4 * max(1.0, value.abs().max().item())
                torch.testing.assert_close(getattr(found, name).cpu(), value, rtol=1e-4, atol=atol)
        # From the same predictions: those of random weights are so alike that rounding changes their order.
        noise = torch.randn(expected.logits.shape, generator=torch.Generator().manual_seed(2))
        same = expected._replace(logits=expected.logits + 3 * noise)
        priors = on_cpu.anchor_generator(expected.level_sizes)
        of_cpu = on_cpu.predict(same, priors, copy.deepcopy(data["data_samples"]))
        of_gpu = on_gpu.predict(moved(same, "cuda"), priors.cuda(), copy.deepcopy(data["data_samples"]))
    for one, other in zip(of_cpu, of_gpu, strict=True):
        one, other = ((x.bboxes, x.scores, x.labels) for x in (one.pred_instances, other.pred_instances.cpu()))
        assert len(one[1]) == len(other[1]) > 0
        torch.testing.assert_close(other[1], one[1], rtol=1e-4, atol=1e-5)
        assert share_in(other, one) > 0.97 < share_in(one, other)


def share_in(one, other):
    """Says which share of detections others have too; rounding has some change places, and few drop another one."""
    (boxes, scores, labels), (other_boxes, other_scores, other_labels) = one, other
    near = (boxes[:, None] - other_boxes).abs().amax(dim=2) < 1e-2 + 1e-4 * boxes.abs().amax(dim=1)[:, None]
    alike = (scores[:, None] - other_scores).abs() < 1e-5 + 1e-4 * scores[:, None]
    return (near & alike & (labels[:, None] == other_labels)).any(dim=1).float().mean().item()


def waits(call):
    """The lines of rdet that made the host wait for the GPU."""
    import traceback

    found = []

    def note(message, category, filename, lineno, file=None, line=None):
        if "called a synchronizing" not in str(message):  # such as that the mode is a prototype, once a process
            return
        frames = [f for f in traceback.extract_stack() if "/rdet/" in f.filename and "/tests/" not in f.filename]
        where = frames[-1] if frames else traceback.extract_stack()[-2]
        found.append(f"{where.filename.split('/rdet/')[-1]}:{where.lineno}: {where.line}")

    torch.cuda.synchronize()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note
        torch.cuda.set_sync_debug_mode("warn")
        try:
            call()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return found


@pytest.mark.parametrize("family", families.FAMILIES)
@pytest.mark.parametrize("epoch", [0, families.LATE])
def test_a_training_step_waits_for_nothing(family, epoch):
    if epoch == 0 and "tood" not in family:
        pytest.skip("every epoch of it is the same")
    model = families.detector(family, epoch).cuda()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
    data = families.batch()
    data["inputs"] = [image.pin_memory() for image in data["inputs"]]  # as the loader does

    def step():
        found = families.losses(model, data)
        sum(found.values()).backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    assert waits(step) == []
    torch.cuda.set_sync_debug_mode("error")
    try:
        step()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("family", families.FAMILIES)
@pytest.mark.parametrize("sizes", [1, 3])
def test_inference_waits_once_for_the_images_of_a_size(family, sizes):
    model = families.detector(family).cuda().eval()
    data = {key: [one for one in values for _ in range(2)] for key, values in families.batch(count=sizes).items()}
    data["inputs"] = [image.pin_memory() for image in data["inputs"]]
    with torch.no_grad():
        model.test_step(copy.deepcopy(data))
        found = waits(lambda: model.test_step(data))
    # Where boxes drop each other in a long chain, suppression asks once more.
    assert sizes <= len(found) <= 2 * sizes, found


@pytest.mark.parametrize("family", families.FAMILIES)
def test_a_thousand_candidates_of_each_image_are_waited_for_once(family):
    model, data = families.detector(family).cuda().eval(), families.batch()
    with torch.no_grad():
        predictions = model(model.data_preprocessor(data)["inputs"])
        noise = torch.randn(predictions.logits.shape, generator=torch.Generator().manual_seed(2))
        predictions = predictions._replace(logits=predictions.logits + 3 * noise.cuda())
        priors = model.anchor_generator(predictions.level_sizes).cuda()
        model.predict(predictions, priors, data["data_samples"])
        found = waits(lambda: model.predict(predictions, priors, data["data_samples"]))
    assert len(found) == 1, found
    assert min(len(sample.pred_instances) for sample in data["data_samples"]) > 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_group_normalisation_of_half_precision_is_that_of_float32(dtype):
    norm = GroupNorm(32, 256).cuda()
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    maps = torch.randn(2, 256, 20, 30, device="cuda").to(dtype).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cuda", dtype=dtype):
        found = norm(maps)
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), norm(maps.float()), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", families.FAMILIES)
def test_half_precision_is_near_float32(family, dtype):
    model, data = families.detector(family).cuda(), families.batch()
    exact = families.losses(copy.deepcopy(model), data)  # GHM's loss remembers the one before
    with torch.autocast("cuda", dtype=dtype):
        rounded = families.losses(model, data)
    rtol = 0.15 if family in families.NORMALISED else 0.05  # their boxes get priors by what is predicted
    for name, value in exact.items():
        torch.testing.assert_close(rounded[name].float(), value, rtol=rtol, atol=0.02)
    total = sum(rounded.values())
    assert any(gradients_are_finite(model, total, scale) for scale in (1024, 64, 4))


def gradients_are_finite(model, total, scale):
    """Goes backward with a loss scale, which float16 has a training look for."""
    model.zero_grad()
    (total * scale).backward(retain_graph=True)
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    return len(gradients) > 0 and all(gradient.isfinite().all() for gradient in gradients)
