"""Made by scripts/stubs.py of what `import moxing.tensorflow.executor.lr_find` gives; not to be changed by hand."""
from collections.abc import Callable
from typing import Any
import dataclasses

@dataclasses.dataclass
class LrFindPoint:
    """A step of the test."""
    learning_rate: float
    loss: float
    smoothed: float

@dataclasses.dataclass
class LrFindResult:
    """What lr_find found."""
    points: list[LrFindPoint]
    suggestion: float | None

def lr_find(
    make_optimizer: Callable[[Callable[[], Any]], Any],
    lowest: float = 1e-06,
    highest: float = 10.0,
    steps: int = 100,
    **options: Any,
) -> LrFindResult:
    """The learning rate range test (Smith 2015): trains with rates that rise from `lowest` to `highest` by the same factor a step,
    until the smoothed loss is four times its least. Nothing is saved.

    make_optimizer(rate): what returns the training's optimizer_fn, e.g. lambda rate: mox.get_optimizer_fn("momentum", rate); the rate
    is a function. steps: of the test, at most. options: those of mox.run, but what says where it is saved and how long it is. Returns the points (learning_rate,
    loss, smoothed) and a suggestion, the rate in the middle of where the smoothed loss falls longest.

    Raises what mox.run raises, but for a loss that is not finite, which ends the test.
    """
