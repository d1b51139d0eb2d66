"""Registries of rdet: names in a config, classes behind them.

They are children of mmengine's registries with the scope ``rdet`` and differ from them in three
ways. rdet's own parts are imported when a registry is first asked for one, so that ``import rdet``
stays light. A name or a key that does not exist is an error that lists the nearest ones that do.
And :func:`build_from_cfg` builds nested parts as well, checking every key and value on its way.
"""

import importlib
import inspect
import os
import pkgutil
import sysconfig
import threading
import traceback
from collections.abc import Callable
from typing import Any, cast

from mmengine import registry as root
from mmengine.utils import get_object_from_string

from rdet.compat import ask_for_packages_without_setuptools, read_yaml_as_data
from rdet.errors import ConfigError, MissingModuleError, RdetError, UnknownNameError, is_of_a_file
from rdet.messages import nearest, shown
from rdet.part_keys import check_arguments, missing_arguments, no_part
from rdet.schema import is_dotted_name

ask_for_packages_without_setuptools()
read_yaml_as_data()

# Code that is tested: if it cannot make a part, the values of the config are wrong.
_FOLDERS_OF_LIBRARIES = (
    os.path.dirname(os.path.abspath(__file__)),
    *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
)
_LONGEST_REASON = 200  # characters

# `custom_imports` of the config in use: module -> None, or the traceback of its failed import.
_custom_imports: dict[str, str | None] = {}
_importing = threading.RLock()


class Registry(root.Registry):
    """A child of mmengine's registry ``parent`` that imports rdet's own parts at the first look-up.

    Args:
        name: Singular name of what it holds, used in messages.
        parent: mmengine's root registry of the same kind.
        packages: Packages of rdet whose modules register parts here.
        fallback: Modules of other libraries to import when rdet does not have the name.
    """

    def __init__(self, name: str, parent: root.Registry, packages: tuple[str, ...], fallback: tuple[str, ...] = ()):
        super().__init__(name, parent=parent, scope="rdet", build_func=build_from_cfg)
        self._packages = packages
        self._fallback = fallback
        self._imported = self._has_all = False
        self._not_imported: dict[str, ImportError] = {}

    def import_parts(self) -> None:
        """Import the modules of rdet that register parts here, once.

        A module that needs a package that is not installed is left out; :meth:`get` says so if a name is not found.
        """
        if self._has_all:
            return
        with _importing:  # other threads wait for all parts
            if self._imported:
                return
            self._imported = True  # before the end: a module may look something up while it is imported
            for package in self._packages:
                folder = importlib.import_module(package)
                for module in pkgutil.walk_packages(folder.__path__, f"{package}.", onerror=self._leave_out):
                    try:
                        importlib.import_module(module.name)
                    except ImportError as error:
                        self._not_imported[module.name] = error
            self._has_all = True

    def _leave_out(self, name: str) -> None:
        """Do nothing: what a package cannot import is said once, by the import of the package itself."""

    def _register_module(self, module: Any, *args: Any, **kwargs: Any) -> None:
        if not module.__module__.startswith("rdet."):
            self.import_parts()  # so that a name which rdet has too is an error here, where it is the user's
        super()._register_module(module, *args, **kwargs)

    def get(self, key: str) -> Any:
        """Return the class that ``key`` names. Raise :class:`UnknownNameError` if there is none."""
        self.import_parts()
        found = self._find(key)
        if found is None:
            for module in self._fallback:
                importlib.import_module(module)
            found = self._find(key)
        if found is None:
            raise UnknownNameError(self._unknown(key))
        return found

    def _find(self, key: str) -> Any:
        if not all(part.isidentifier() for part in key.split(".")):
            return None
        try:
            found = super().get(key)
        except RuntimeError:  # mmengine's, for what can be no name at all
            return None
        return found if callable(found) else None  # a name of Python's may be that of a module

    def names(self) -> set[str]:
        """Return the names that a config may use as ``type`` here, this process's own imports included.

        The parent's are left out where rdet uses none of them: mmengine has layers beside its models.
        """
        self.import_parts()
        return {*self._module_dict, *(self.parent.module_dict if self._fallback else ())}

    def parts(self) -> dict[str, Any]:
        """Return all parts registered here or at the parent by now, by name; what a look-up would import included."""
        self.import_parts()
        for module in self._fallback:
            importlib.import_module(module)
        return {**self.parent.module_dict, **self._module_dict}

    @property
    def _module_of(self) -> dict[str, str]:
        """Name of each part of rdet itself -> the module that registers it."""
        self.import_parts()
        modules = {name: part.__module__ for name, part in self._module_dict.items()}
        return {name: module for name, module in modules.items() if module.startswith("rdet.")}

    @property
    def _variable(self) -> str:
        """Name of this registry in this module."""
        return next(name for name, value in globals().items() if value is self)

    def _unknown(self, key: str) -> str:
        said = [f"no {self.name} is called {shown(key)}."]
        said += [f"{module} could not be imported: {error}." for module, error in self._not_imported.items()]
        if loaded := [module for module, error in _custom_imports.items() if error is None]:
            said.append(f"custom_imports imported: {', '.join(loaded)}.")
        said.append(nearest(key, self.names(), see=f"rdet.registry.{self._variable}.names()"))
        failed = [
            f"\ncustom_imports could not import {module!r}:\n{error}"
            for module, error in _custom_imports.items()
            if error is not None
        ]
        return " ".join(said) + "".join(failed)


def import_custom_modules(imports: list[str] | str, allow_failed_imports: bool = False) -> None:
    """Import the user's own modules, so that what they register can be named in a config.

    Args:
        imports: Dotted names of modules on the Python path.
        allow_failed_imports: Keep the traceback of a failed import for the error message of a
            part that is then not found, instead of raising at once.
    """
    _custom_imports.clear()
    for module in [imports] if isinstance(imports, str) else imports:
        try:
            importlib.import_module(module)
        except Exception as error:
            _custom_imports[module] = traceback.format_exc()
            if not allow_failed_imports:
                raise MissingModuleError(
                    f"custom_imports: cannot import {module!r} ({type(error).__name__}: {error}); "
                    "is its folder on PYTHONPATH?"
                ) from error
        else:
            _custom_imports[module] = None


def function_named(name: str, where: str) -> Callable[..., Any]:
    """Import the function of a dotted name; a config that is printed or saved says functions so.

    Raises:
        ConfigError: There is no such function.
    """
    found = get_object_from_string(name) if is_dotted_name(name) else None
    if not callable(found):
        raise ConfigError(f"{where}: there is no function {shown(name)}; give it as 'module.function'")
    return cast("Callable[..., Any]", found)


def class_of(kind: Any, registry: Registry, where: str) -> Any:
    """Return what ``type`` of a config stands for: the class of that name in ``registry``, or the class itself."""
    if not isinstance(kind, str):
        if not callable(kind):
            raise ConfigError(f"{where}.type is {shown(kind)}; it must be a name or a class")
        return kind
    try:
        return registry.get(kind)
    except UnknownNameError as error:
        raise UnknownNameError(f"{where}: {error}" if where else str(error)) from None


def build_from_cfg(
    cfg: dict[str, Any], registry: Registry, default_args: dict[str, Any] | None = None, where: str = ""
) -> Any:
    """Build the object that ``cfg`` describes, and the objects that nested configs describe.

    A class with a classmethod ``from_cfg`` gets its nested configs as they are and assembles its
    parts itself; what its ``**kwargs`` may hold, the constructor of ``cfg_behind_kwargs`` says. Keys
    that end in ``_cfg`` are values, never parts.

    Args:
        cfg: ``type`` (a name, or a class itself) and the keyword arguments.
        registry: Where ``type`` is looked up.
        default_args: Facts inferred elsewhere. A key that ``cfg`` sets too must agree.
        where: Path of ``cfg`` in the whole config, for messages.

    Raises:
        UnknownNameError: ``type`` or a key does not exist.
        ConfigError: ``cfg`` contradicts ``default_args``, lacks what the class needs, or has a value of another type
            than its annotation says or that it refuses with a plain ValueError; or the class is abstract. The message
            has the place.
    """
    if not isinstance(cfg, dict) or "type" not in cfg:
        raise no_part(where or registry.name, cfg)
    cfg = dict(cfg)
    kind = cfg.pop("type")
    cls = class_of(kind, registry, where)
    where = where or cls.__name__
    left_out = [key for key in default_args or {} if cfg.get(key, ...) is None]
    check_arguments({key: value for key, value in cfg.items() if key not in left_out}, cls, where)
    for key, value in (default_args or {}).items():
        if key in cfg and cfg[key] is not None and _as_list(cfg[key]) != _as_list(value):
            raise ConfigError(
                f"{where}.{key} is {shown(cfg[key])} in the config, but {shown(value)} follows from the parts around "
                "it; leave it out, or change what it contradicts"
            )
        cfg[key] = value
    if inspect.isabstract(cls):
        raise ConfigError(f"{where}: {cls.__name__} does not define {', '.join(sorted(cls.__abstractmethods__))}")
    if hasattr(cls, "from_cfg"):
        make, arguments = cls.from_cfg, cfg
    else:
        make = cls
        arguments = {key: _build_nested(value, key, registry, f"{where}.{key}") for key, value in cfg.items()}
    try:
        return make(**arguments)
    except ValueError as error:
        if type(error) not in (ValueError, ConfigError):
            raise
        raise ConfigError(_with_place(str(error), where)) from error
    except Exception as error:
        if missing := missing_arguments(error, cls):
            raise ConfigError(f"{where}: {cls.__name__} needs {', '.join(missing)}") from error
        if refused := refused_values(error, where, cls.__name__):
            raise refused from error
        raise


def refused_values(error: Exception, where: str, name: str) -> ConfigError | None:
    """Make an error of the config of one that a library's code raised for values of the config.

    Args:
        error: What was raised while a part was made.
        where: Its place in the config.
        name: Its class.

    Returns:
        None where the error passed through code of the user: it may be a bug there, which needs its traceback.
    """
    if (
        isinstance(error, RdetError)
        or is_of_a_file(error)
        or any(map(_is_of_the_user, traceback.extract_tb(error.__traceback__)))
    ):
        return None
    first = (str(error).strip().splitlines() or [""])[0]
    why = f"{type(error).__name__}: {first[:_LONGEST_REASON]}".removesuffix(": ")
    return ConfigError(
        f"{where}: {name} cannot be made of these values ({why}); correct them (RDET_TRACEBACK=1 shows where it fails)"
    )


def _is_of_the_user(frame: traceback.FrameSummary) -> bool:
    """Tell whether a line of a traceback is in a file that belongs to no installed library."""
    return not frame.filename.startswith(("<", *_FOLDERS_OF_LIBRARIES))


def _with_place(message: str, where: str) -> str:
    """Put the part's place in the config before what a part says of its own key."""
    if where in message:
        return message
    slot = where.rpartition(".")[2]
    return f"{where}{message.removeprefix(slot)}" if message.startswith(f"{slot}.") else f"{where}: {message}"


def _build_nested(value: Any, key: str, registry: Registry, where: str) -> Any:
    registry = registry_below(key, registry)
    if isinstance(value, dict) and "type" in value and not key.endswith("_cfg"):
        return build_from_cfg(value, registry, where=where)
    if isinstance(value, list | tuple) and value and all(isinstance(v, dict) and "type" in v for v in value):
        return [build_from_cfg(v, registry, where=f"{where}.{i}") for i, v in enumerate(value)]
    return value


def registry_below(key: str, registry: Registry) -> Registry:
    """Return where parts below ``key`` of a part are looked up: in its own ``registry``, unless the key says more."""
    return _REGISTRY_OF.get(key, registry)


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


MODELS = Registry("model part", root.MODELS, ("rdet.models",), fallback=("mmengine.model",))
DATASETS = Registry("dataset", root.DATASETS, ("rdet.datasets",), fallback=("mmengine.dataset",))
TRANSFORMS = Registry("transform", root.TRANSFORMS, ("rdet.datasets",), fallback=("mmcv.transforms",))
METRICS = Registry("metric", root.METRICS, ("rdet.evaluation",), fallback=("mmengine.evaluator",))
HOOKS = Registry("hook", root.HOOKS, ("rdet.engine", "rdet.report.hooks"), fallback=("mmengine.hooks",))
LOOPS = Registry("loop", root.LOOPS, ("rdet.engine",), fallback=("mmengine.runner",))
LOG_PROCESSORS = Registry("log processor", root.LOG_PROCESSORS, ("rdet.engine",), fallback=("mmengine.runner",))
OPTIM_WRAPPERS = Registry("optimizer wrapper", root.OPTIM_WRAPPERS, ("rdet.engine",), fallback=("mmengine.optim",))
OPTIMIZERS = Registry("optimizer", root.OPTIMIZERS, (), fallback=("mmengine.optim",))
PARAM_SCHEDULERS = Registry(
    "parameter scheduler", root.PARAM_SCHEDULERS, ("rdet.engine",), fallback=("mmengine.optim",)
)
VISUALIZERS = Registry("visualizer", root.VISUALIZERS, (), fallback=("mmengine.visualization",))
# rdet adds nothing to some of these; without them, mmengine warns that the scope has none.
VISBACKENDS = Registry("visualizer backend", root.VISBACKENDS, ("rdet.engine",), fallback=("mmengine.visualization",))
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    "optimizer wrapper constructor", root.OPTIM_WRAPPER_CONSTRUCTORS, (), fallback=("mmengine.optim",)
)

# Below these keys, parts are of another kind than the part that holds them.
_REGISTRY_OF = {
    "dataset": DATASETS,
    "datasets": DATASETS,
    "pipeline": TRANSFORMS,
    "transforms": TRANSFORMS,
    "optimizer": OPTIMIZERS,
    "vis_backends": VISBACKENDS,
}


def names_of_parts() -> set[str]:
    """Return the names by which a config can ask for what is registered: short ones, and dotted names of classes."""
    found = [part for registry in _ALL for part in registry.parts().items()]
    return {name for name, _ in found} | {f"{part.__module__}.{part.__qualname__}" for _, part in found}


_ALL = [registry for registry in vars().copy().values() if isinstance(registry, Registry)]
