import numpy as np
import pytest
import torch

from sac_gmm.rl.sac.networks import Actor, CriticEnsemble, FlatParameters
from sac_gmm.rl.sac.optimiser import FlatAdam
from sac_gmm.rl.sight.encoder import ImageEncoder, SpatialSoftmax


def test_batched_critics_equal_single_ones():
    torch.manual_seed(0)
    critics = CriticEnsemble(5, (16, 8), 3, layer_norm=True)
    features, action = torch.randn(7, 3), torch.randn(7, 2)
    with torch.no_grad():
        together = critics(features, action)
    for e in range(3):
        alone = CriticEnsemble(5, (16, 8), 1, layer_norm=True)
        alone.load_state_dict({name: tensor[e : e + 1] for name, tensor in critics.state_dict().items()})
        torch.testing.assert_close(alone(features, action)[0], together[e])


def plain_critics(critics, x):
    """The same critics, one after the other, in operations that torch can differentiate."""
    values = []
    n = critics.body.n_layers
    weights, biases = critics.body.in_order[:n], critics.body.in_order[n : 2 * n]
    gains, shifts = critics.body.in_order[2 * n : 3 * n - 1], critics.body.in_order[3 * n - 1 :]
    for e in range(len(weights[0])):
        h = x
        for i in range(n):
            h = h @ weights[i][e] + biases[i][e]
            if i < n - 1:
                if gains:
                    h = torch.nn.functional.layer_norm(h, h.shape[-1:]) * gains[i][e] + shifts[i][e]
                h = torch.relu(h)
        values.append(h[:, 0])
    return torch.stack(values)


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("hidden", [(6,), (6, 5)])
def test_gradients_of_the_critics(layer_norm, hidden):
    torch.manual_seed(0)
    critics = CriticEnsemble(4, hidden, 2, layer_norm).double()
    flat = FlatParameters([critics])
    flat.copy_(torch.randn_like(flat.vector))
    features, action = torch.randn(3, 3).double(), torch.randn(3, 1).double()
    x = torch.cat([features, action], dim=1).requires_grad_()
    weight = torch.randn(2, 3).double()
    (plain_critics(critics, x) * weight).sum().backward()
    expected = flat.vector.grad.clone()
    with torch.no_grad():
        values, trace = critics.trace(features, action)
        torch.testing.assert_close(values, plain_critics(critics, x))
        flat.vector.grad.fill_(7.0)  # what stood there before does not matter
        grad_x = critics.backward(weight, trace, inputs=True)
        torch.testing.assert_close(grad_x, x.grad)
        torch.testing.assert_close(flat.vector.grad, expected)
        flat.clear_gradient()
        torch.testing.assert_close(critics.backward(weight, trace, weights=False, inputs=True), x.grad)
        assert (flat.vector.grad == 0.0).all()


def test_some_critics_are_asked_alone():
    critics = CriticEnsemble(5, (8,), 4, layer_norm=True)
    features, action = torch.randn(7, 3), torch.randn(7, 2)
    with torch.no_grad():
        chosen = critics(features, action, torch.tensor([2, 0]))
        torch.testing.assert_close(chosen, critics(features, action)[[2, 0]])


@pytest.mark.parametrize("hidden", [(), (6, 5)])
def test_gradients_of_the_actor(hidden):
    torch.manual_seed(0)
    actor = Actor(3, hidden, 2, initial_std=0.5, min_std=0.1, max_std=1.0).double()
    flat = FlatParameters([actor])
    flat.copy_(0.5 * torch.randn_like(flat.vector))
    actor.log_std.data[:] = torch.tensor([-0.5, 3.0])  # one of them beyond its bound, where its gradient ends
    features, noise = torch.randn(4, 3).double(), torch.randn(4, 2).double()
    grad_action, grad_mean = torch.randn(4, 2).double(), torch.randn(4, 2).double()
    mean = features @ actor.linear.weight.T + actor.linear.bias
    if actor.body is not None:
        h = features
        n = actor.body.n_layers
        for i in range(n):
            h = h @ actor.body.in_order[i][0] + actor.body.in_order[n + i][0]
            h = torch.relu(h) if i < n - 1 else h
        mean = mean + h
    normal = torch.distributions.Normal(mean, actor.log_std.clamp(*actor.log_std_bounds).exp())
    raw = mean + normal.scale * noise
    log_prob = (normal.log_prob(raw) - torch.log1p(-torch.tanh(raw).square())).sum(dim=1)
    ((grad_action * torch.tanh(raw)).sum() + 0.3 * log_prob.sum() + (grad_mean * mean).sum()).backward()
    expected = flat.vector.grad.clone()
    with torch.no_grad():
        drawn, trace = actor.trace(features, noise)
        torch.testing.assert_close(drawn.log_prob, log_prob)
        flat.vector.grad.fill_(7.0)
        actor.backward(grad_action, 0.3, drawn, trace, grad_mean)
    torch.testing.assert_close(flat.vector.grad, expected)


def test_adam_on_a_flat_vector_is_adam():
    torch.manual_seed(0)
    layer, peer = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    peer.load_state_dict(layer.state_dict())
    flat = FlatParameters([layer])
    ours, theirs = FlatAdam(flat, 0.01, 0.1), torch.optim.AdamW(peer.parameters(), lr=0.01, weight_decay=0.1)
    for _ in range(20):
        x = torch.randn(5, 3)
        for network, optimiser in ((layer, ours), (peer, theirs)):
            flat.clear_gradient() if network is layer else theirs.zero_grad()
            network(x).square().sum().backward()
            optimiser.step()
    torch.testing.assert_close(layer.weight, peer.weight, rtol=1e-4, atol=1e-6)


def test_log_probability_of_the_squashed_gaussian_integrates_to_one():
    actor = Actor(1, (), 1, initial_std=0.7, min_std=0.1, max_std=1.0)
    noise = torch.linspace(-6, 6, 20001).unsqueeze(1)
    with torch.no_grad():
        action, log_prob = actor.sample(torch.zeros(len(noise), 1), noise)
    integral = torch.trapezoid(log_prob.exp(), action[:, 0])
    assert abs(integral.item() - 1.0) < 1e-3


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


@pytest.mark.parametrize("upwards", [False, True])
def test_a_spread_at_its_bound_comes_back(upwards):
    """A step of the optimiser may overshoot a bound; what is beyond it would have no gradient and stay for good."""
    actor = Actor(2, (), 3, initial_std=0.5, min_std=0.02, max_std=0.6)
    flat = FlatParameters([actor])
    adam = FlatAdam(flat, 0.01)
    features, noise = torch.zeros(16, 2), torch.randn(16, 3)

    def push(grad_log_prob: float, steps: int) -> None:
        for _ in range(steps):
            with torch.no_grad():
                drawn, trace = actor.trace(features, noise)
                actor.backward(torch.zeros(16, 3), grad_log_prob, drawn, trace)
            adam.step()
            actor.keep_spread_within_bounds()

    outwards = 1.0 if upwards else -1.0
    push(outwards, 500)
    at_bound = actor.log_std.detach().clone()
    torch.testing.assert_close(at_bound, torch.full((3,), actor.log_std_bounds[upwards]))
    push(-outwards, 500)
    assert (at_bound - actor.log_std.detach()).abs().min() > 0.1
