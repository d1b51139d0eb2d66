"""Pictures of a test run."""

from pathlib import Path

from mmengine.hooks import Hook

from rdet.datasets.images import read_image
from rdet.registry import HOOKS
from rdet.remote import BackendArgs
from rdet.schema import Fraction
from rdet.visualization.draw import draw_comparison, save_image


@HOOKS.register_module()
class DrawHook(Hook):
    """Draws the truth, left, and the detections, right, of every image that is tested, with what is missed and false.

    Args:
        out_dir: Where the pictures go, under the ids and names of the images.
        score_thr: Detections of a lower score are left out.
        backend_args: Where the images are, as of ``LoadImageFromFile``.
    """

    def __init__(self, out_dir: str, score_thr: Fraction = 0.3, backend_args: BackendArgs = None):
        self.out_dir = Path(out_dir)
        self.backend_args = backend_args
        self.score_thr = score_thr

    def after_test_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Write one picture for each sample of ``outputs``."""
        classes = runner.test_dataloader.dataset.metainfo["classes"]
        for sample in outputs:
            pixels = sample.ori_shape[0] * sample.ori_shape[1]  # it was loaded before, so it is not too large
            picture = read_image(sample.img_path, sample.ori_shape, pixels, "image", self.backend_args, channels=None)
            truth, found = sample.gt_instances, sample.pred_instances
            scale = truth.bboxes.new_tensor(sample.scale_factor).repeat(2)  # truth is in pixels of the network's input
            ignored = (sample.ignored_instances.bboxes / scale).cpu() if "ignored_instances" in sample else None
            picture = draw_comparison(
                picture[:, :, ::-1],
                {"bboxes": (truth.bboxes / scale).cpu(), "labels": truth.labels.cpu(), "ignored": ignored},
                {"bboxes": found.bboxes.cpu(), "labels": found.labels.cpu(), "scores": found.scores.cpu()},
                classes,
                self.score_thr,
            )
            # Names alone may be the same in two folders.
            save_image(self.out_dir / f"{sample.img_id}_{Path(sample.img_path).name}", picture)
