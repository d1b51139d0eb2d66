"""What the data of a run are like."""

from rdet.datasets.box_statistics import box_statistics
from rdet.datasets.summary import classes_of
from rdet.registry import HOOKS
from rdet.report.hooks.picture_hook import PictureHook
from rdet.visualization.fonts import writable_names


@HOOKS.register_module()
class LabelsHook(PictureHook):
    """Draws ``labels.png`` before the first step: boxes by class and split, their sizes, shapes and places."""

    def before_train(self, runner) -> None:
        self.draw(runner, "labels.png", lambda path: _draw(path, _datasets_of(runner)))


def _datasets_of(runner) -> dict:
    loaders = {"train": runner.train_dataloader}
    if runner.val_loop is not None:
        loaders["val"] = runner.val_dataloader
    datasets = {split: loader.dataset for split, loader in loaders.items()}
    classes = classes_of(datasets["train"])
    return {split: dataset for split, dataset in datasets.items() if classes_of(dataset) == classes}


def _draw(path, datasets: dict) -> None:
    from rdet.visualization.plots.labels import plot_labels
    from rdet.visualization.plots.save import save_plot

    found = {split: box_statistics(dataset) for split, dataset in datasets.items()}
    names = next(iter(found.values())).by_class
    written = dict(zip(names, writable_names(names), strict=True))
    figure = plot_labels(
        {split: {written[name]: count for name, count in of.by_class.items()} for split, of in found.items()},
        {split: of.sizes for split, of in found.items()},
        {split: of.centres for split, of in found.items()},
    )
    save_plot(path, figure, dpi=110)
