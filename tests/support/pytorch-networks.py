"""Exports small networks from PyTorch to a folder: NAME.onnx, NAME.input and NAME.output as float32 [N, C, H, W]."""

import sys
import warnings

import torch
import torch.nn.functional as F
from torch import nn

warnings.filterwarnings('ignore')
folder = sys.argv[1]


class SqueezeExcite(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // 4, 1)
        self.expand = nn.Conv2d(channels // 4, channels, 1)

    def forward(self, x):
        gate = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.expand(F.silu(self.reduce(gate))))


class LinearGate(nn.Module):
    """Squeeze-and-excitation with linear layers, as in SENet."""

    def __init__(self, channels):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(channels, 4, bias=False), nn.ReLU(), nn.Linear(4, channels, bias=False), nn.Sigmoid()
        )

    def forward(self, x):
        b, c, _, _ = x.shape
        return x * self.layers(F.adaptive_avg_pool2d(x, 1).view(b, c)).view(b, c, 1, 1).expand_as(x)


class ConvNextBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.pwconv1 = nn.Linear(channels, 4 * channels)
        self.pwconv2 = nn.Linear(4 * channels, channels)
        self.gamma = nn.Parameter(torch.rand(channels))

    def forward(self, x):
        y = self.dwconv(x).permute(0, 2, 3, 1)
        y = self.gamma * self.pwconv2(F.gelu(self.pwconv1(self.norm(y))))
        return x + y.permute(0, 3, 1, 2)


class ChannelNorm(nn.Module):
    """The layer norm of ConvNeXt's stem, written out."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(channels))
        self.bias = nn.Parameter(torch.rand(channels))

    def forward(self, x):
        u = x.mean(1, keepdim=True)
        s = (x - u).pow(2).mean(1, keepdim=True)
        x = (x - u) / torch.sqrt(s + 1e-6)
        return self.weight[:, None, None] * x + self.bias[:, None, None]


class Pyramid(nn.Module):
    """Maps of several sizes, resized and put beside each other."""

    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(8, 12, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(20)

    def forward(self, x):
        up = F.interpolate(self.down(x), size=x.shape[2:], mode='bilinear', align_corners=False)
        return F.relu6(self.norm(torch.cat([x, up], 1)))


def head(channels):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


networks = {
    'classic': nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=2), nn.Tanh(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Dropout(), nn.Linear(8 * 4 * 4, 20), nn.ReLU(), nn.Linear(20, 10), nn.Softmax(1),
    ),
    'efficient': nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.SiLU(),
        nn.Conv2d(8, 32, 1, bias=False), nn.BatchNorm2d(32), nn.Hardswish(),
        nn.Conv2d(32, 32, 3, padding=1, groups=32, bias=False), nn.BatchNorm2d(32), nn.ReLU6(),
        SqueezeExcite(32), nn.Conv2d(32, 8, 1), nn.Hardsigmoid(), LinearGate(8), head(8),
    ),
    'convnext': nn.Sequential(
        nn.Conv2d(3, 16, 4, stride=4), ChannelNorm(16), ConvNextBlock(16), ConvNextBlock(16),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(16), nn.Linear(16, 10),
    ),
    'pyramid': nn.Sequential(
        nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(3, 8, 3, stride=2), Pyramid(), nn.Conv2d(20, 4, 1),
    ),
}

torch.manual_seed(1)
for name, network in networks.items():
    network.eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    x = torch.rand(1, 3, 35, 35) * 2 - 1
    with torch.no_grad():
        y = network(x)
    for opset in (13, 17):
        for dynamic in (False, True):
            torch.onnx.export(
                network, x, f'{folder}/{name}-{opset}-{"dynamic" if dynamic else "fixed"}.onnx', opset_version=opset,
                input_names=['image'], output_names=['result'], do_constant_folding=not dynamic,
                dynamic_axes={'image': {0: 'batch'}, 'result': {0: 'batch'}} if dynamic else None,
            )
    x.numpy().tofile(f'{folder}/{name}.input')
    y.contiguous().numpy().tofile(f'{folder}/{name}.output')
