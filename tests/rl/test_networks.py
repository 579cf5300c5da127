import numpy as np
import pytest
import torch

from sac_gmm.rl.encoder import ImageEncoder, SpatialSoftmax
from sac_gmm.rl.networks import Actor, CriticEnsemble, FlatParameters, _BatchedMlpFunction, _SquashFunction


def test_batched_critics_equal_single_ones():
    torch.manual_seed(0)
    critics = CriticEnsemble(5, (16, 8), 3, layer_norm=True)
    features, action = torch.randn(7, 3), torch.randn(7, 2)
    together = critics(features, action)
    for e in range(3):
        alone = CriticEnsemble(5, (16, 8), 1, layer_norm=True)
        alone.load_state_dict({name: tensor[e : e + 1] for name, tensor in critics.state_dict().items()})
        torch.testing.assert_close(alone(features, action)[0], together[e])


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("hidden", [(6,), (6, 5)])
def test_gradients_of_the_critics(layer_norm, hidden):
    torch.manual_seed(0)
    critics = CriticEnsemble(4, hidden, 2, layer_norm).double()
    features, action = torch.randn(3, 3).double(), torch.randn(3, 1).double()
    inputs = [tensor.clone().requires_grad_() for tensor in (features, *critics.body.in_order)]

    def values(features, *parameters):
        return _BatchedMlpFunction.apply(torch.cat([features, action], dim=1), len(hidden) + 1, *parameters)

    assert torch.autograd.gradcheck(values, inputs)
    critics(inputs[0], action, fixed=True).sum().backward()
    fixed = inputs[0].grad.clone()
    inputs[0].grad = None
    assert all(parameter.grad is None for parameter in critics.parameters())
    critics(inputs[0], action).sum().backward()
    torch.testing.assert_close(inputs[0].grad, fixed)


def test_log_probability_of_the_squashed_gaussian_integrates_to_one():
    actor = Actor(1, (), 1, initial_std=0.7, min_std=0.1, max_std=1.0)
    noise = torch.linspace(-6, 6, 20001).unsqueeze(1)
    action, log_prob, mean = actor.sample(torch.zeros(len(noise), 1), noise)
    integral = torch.trapezoid(log_prob.exp(), action[:, 0])
    assert abs(integral.item() - 1.0) < 1e-3
    assert (mean == 0.0).all()


def test_gradients_of_the_squashed_gaussian():
    torch.manual_seed(0)
    mean, log_std = torch.randn(3, 2).double().requires_grad_(), (0.3 * torch.randn(2)).double().requires_grad_()
    assert torch.autograd.gradcheck(_SquashFunction.apply, (mean, log_std, torch.randn(3, 2).double()))


def test_spatial_softmax_finds_row_and_column():
    softmax = SpatialSoftmax(2, 11, 21)
    maps = torch.full((1, 2, 11, 21), -50.0)
    maps[0, 0, 0, 20] = 50.0  # upper right
    maps[0, 1, 10, 5] = 50.0  # lower row, left of the middle
    torch.testing.assert_close(softmax(maps), torch.tensor([[1.0, -0.5, -1.0, 1.0]]))


def test_encoder_takes_one_channel_and_several_pictures():
    for shape in ((1, 64, 64), (6, 64, 64), (2, 48, 80)):
        encoder = ImageEncoder(shape, 16, 16, 8)
        assert encoder(torch.zeros(2, *shape, dtype=torch.uint8)).shape == (2, 8)


def test_flat_parameters_share_memory_and_gradients():
    layer = torch.nn.Linear(2, 1)
    flat = FlatParameters([layer])
    layer(torch.ones(1, 2)).sum().backward()
    np.testing.assert_array_equal(flat.vector.grad, [1.0, 1.0, 1.0])
    flat.copy_(torch.tensor([1.0, 2.0, 3.0]))
    assert layer(torch.ones(1, 2)).item() == 6.0
    flat.clear_gradient()
    assert (layer.weight.grad == 0.0).all()
