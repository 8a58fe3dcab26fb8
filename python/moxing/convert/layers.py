"""How a layer of another library becomes variables of ours: TF-slim's names and shapes."""
import numpy as np


class Variables(dict):
    """Name -> array."""

    def convolution(self, scope, weights, biases=None):
        """`weights`: [height, width, inputs, outputs]."""
        self[f"{scope}/weights"] = weights
        if biases is not None:
            self[f"{scope}/biases"] = biases

    def normalization(self, scope, *, beta, mean, variance, gamma=None, bias=None, epsilons=None):
        """`bias`: of the convolution before it, which ours does not have. `epsilons`: theirs and ours, where they differ. Both are
        worked into what is there, so that the result is the same."""
        if bias is not None:
            mean = mean - bias
        if epsilons and gamma is not None:
            theirs, ours = epsilons
            gamma = gamma * np.sqrt((variance.astype("float64") + ours) / (variance.astype("float64") + theirs)).astype("float32")
        self[f"{scope}/beta"] = beta
        if gamma is not None:
            self[f"{scope}/gamma"] = gamma
        self[f"{scope}/moving_mean"] = mean
        self[f"{scope}/moving_variance"] = variance
