/**
 * The part of the Python side that runs whole networks. A network comes as Widefield's own graph: nodes with their
 * op as data, the numbers of the nodes that they read, and the keys of their parameters, which were sent before.
 *
 * Values are [N, C, H, W], as PyTorch wants them. Norms and linear layers over channels look at them with channels
 * last, as the official ConvNeXt does; so the result is a view whose memory has channels last. Linear layers are 1×1
 * convolutions where this build of PyTorch is quicker at those.
 */
export const PYTORCH_NETWORK = String.raw`
parameters = {}

ACTIVATIONS = {
    'relu': F.relu, 'relu6': F.relu6, 'gelu': F.gelu, 'silu': F.silu,
    'sigmoid': torch.sigmoid, 'tanh': torch.tanh, 'none': None,
}

def chain(functions):
    functions = [f for f in functions if f is not None]
    if len(functions) == 1:
        return functions[0]
    def run(*values):
        y = functions[0](*values)
        for f in functions[1:]:
            y = f(y)
        return y
    return run

def channels_last(f):
    return lambda x: f(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

def padded(op, value=0.0):
    """What has to be done before a window slides, and the padding that it can do itself."""
    p = op['padding']
    top, bottom, left, right = p['top'], p['bottom'], p['left'], p['right']
    if top == bottom and left == right and top >= 0 and left >= 0:
        return None, (top, left)
    return (lambda x: F.pad(x, (left, right, top, bottom), value=value)), (0, 0)

def with_epilogue(f, epilogue, p):
    steps = [ACTIVATIONS[epilogue['activation']]]
    if epilogue['scale']:
        scale = p['scale'].reshape(1, -1, 1, 1)
        steps.append(lambda y: y * scale)
    inner = chain([f, *steps])
    final = ACTIVATIONS[epilogue['finalActivation']]
    if not epilogue['residual']:
        return chain([inner, final])
    return chain([lambda x, residual: inner(x) + residual, final])

def conv_layer(op, p):
    bias = p.get('bias') if op['epilogue']['bias'] else None
    pad, padding = padded(op)
    weight, stride, dilation, groups = p['weight'], op['stride'], op['dilation'], op['groups']
    conv = lambda x: F.conv2d(x, weight, bias, stride, padding, dilation, groups)
    return with_epilogue(chain([pad, conv]), op['epilogue'], p)

@functools.cache
def multiplies_by_convolution():
    """Whether 1x1 convolutions are quicker than F.linear: builds without an optimised BLAS have only their convolutions."""
    x, weight = torch.ones(1, 32, 32, 128), torch.ones(256, 128)
    last, kernel = x.permute(0, 3, 1, 2), weight.reshape(256, 128, 1, 1)
    def best(f):
        times = []
        for _ in range(5):
            start = time.perf_counter()
            f()
            times.append(time.perf_counter() - start)
        return min(times)
    return best(lambda: F.conv2d(last, kernel)) < best(lambda: F.linear(x, weight))

def linear_layer(op, p):
    weight, bias = p['weight'], p.get('bias') if op['epilogue']['bias'] else None
    if multiplies_by_convolution():
        return with_epilogue(lambda x: F.conv2d(x, weight.reshape(*weight.shape, 1, 1), bias), op['epilogue'], p)
    return with_epilogue(channels_last(lambda x: F.linear(x, weight, bias)), op['epilogue'], p)

def batch_norm(op, p):
    mean, var, weight, bias = p['running_mean'], p['running_var'], p['weight'], p['bias']
    # In training the batch's statistics count, and the running ones follow them.
    training = weight.requires_grad
    norm = lambda x: F.batch_norm(x, mean, var, weight, bias, training, 0.1, op['epsilon'])
    return chain([norm, ACTIVATIONS[op['activation']]])

def layer_norm(op, p, channels):
    weight, bias = (p['weight'], p['bias']) if op['affine'] else (None, None)
    return channels_last(lambda x: F.layer_norm(x, (channels,), weight, bias, op['epsilon']))

def elementwise(op):
    def run(x, *rest):
        rest = iter(rest)
        for step in op['steps']:
            kind = step['kind']
            if kind == 'add':
                x = x + next(rest)
            elif kind == 'sub':
                x = x - next(rest)
            elif kind == 'mul':
                x = x * next(rest)
            elif kind == 'affine':
                x = x * step['scale'] + step['shift']
            else:
                x = ACTIVATIONS[step['activation']](x)
        return x
    return run

def pool(op):
    size, stride, dilation = (op['kernelHeight'], op['kernelWidth']), op['stride'], op['dilation']
    if op['kind'] == 'max':
        pad, padding = padded(op, float('-inf'))
        return chain([pad, lambda x: F.max_pool2d(x, size, stride, padding, dilation)])
    pad, padding = padded(op)
    if dilation == 1 and (pad is None or op['countPadding']):
        return chain([pad, lambda x: F.avg_pool2d(x, size, stride, padding, False, op['countPadding'])])
    def average(x):
        channels = x.shape[1]
        weight = torch.ones((channels, 1, *size))
        total = chain([pad, lambda x: F.conv2d(x, weight, None, stride, padding, dilation, channels)])
        return total(x) / (size[0] * size[1] if op['countPadding'] else total(torch.ones_like(x)))
    return average

def blur_pool(op, channels):
    filter = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 16
    weight = filter.repeat(channels, 1, 1, 1)
    mode = lambda size: 'reflect' if size > 1 else 'replicate'
    def blur(x):
        x = F.pad(x, (0, 0, 1, 1), mode=mode(x.shape[2]))
        x = F.pad(x, (1, 1, 0, 0), mode=mode(x.shape[3]))
        return F.conv2d(x, weight, stride=op['stride'], groups=channels)
    return blur

def layer(op, p, channels):
    """A node's op as a function of its inputs. 'channels' are those of the output."""
    kind = op['type']
    if kind == 'conv':
        return conv_layer(op, p)
    if kind == 'linear':
        return linear_layer(op, p)
    if kind == 'batch-norm':
        return batch_norm(op, p)
    if kind == 'layer-norm':
        return layer_norm(op, p, channels)
    if kind == 'elementwise':
        return elementwise(op)
    if kind == 'layer-scale':
        return lambda x: x * p['gamma'].reshape(1, -1, 1, 1)
    if kind == 'channel-scale':
        return lambda x, gate: x * gate
    if kind == 'pool':
        return pool(op)
    if kind == 'global-pool':
        return lambda x: x.mean((2, 3), keepdim=True)
    if kind == 'softmax':
        return lambda x: F.softmax(x, 1)
    if kind == 'blur-pool':
        return blur_pool(op, channels)
    if kind == 'resize':
        size, align = (op['height'], op['width']), op['alignCorners']
        return lambda x: F.interpolate(x, size, mode='bilinear', align_corners=align)
    if kind == 'concat':
        return lambda *x: torch.cat(x, 1)
    raise NotImplementedError(kind)

def in_format(value, last):
    return value.contiguous(memory_format=torch.channels_last) if last and value.dim() == 4 else value

def network(nodes, x, parameter):
    """The network as a function without arguments; 'parameter' gives the value of a key."""
    layers = []
    last_use = {}
    for i, node in enumerate(nodes):
        p = {name: parameter(key) for name, key in node['parameters'].items()}
        layers.append(layer(node['op'], p, node['channels']) if node['inputs'] else None)
        for source in node['inputs']:
            last_use[source] = i
    # What nobody reads any more is given back, as happens when modules call each other.
    steps = [
        (layers[i], node['inputs'], [s for s in set(node['inputs']) if last_use[s] == i])
        for i, node in enumerate(nodes)
    ]
    def run():
        values = []
        for function, inputs, finished in steps:
            values.append(x if function is None else function(*[values[s] for s in inputs]))
            for s in finished:
                values[s] = None
        return values[-1]
    return run

def make_network(q, payload):
    """All graphs in both memory formats; the forms are called 'format|graph'."""
    n, h, w, c = q['input']
    x = tensor(payload, 0, (n, h, w, c)).permute(0, 3, 1, 2).contiguous()
    logits = lambda y: y.reshape(n, -1)
    return {
        f'{form}|{name}': (network(nodes, in_format(x, last), lambda key: in_format(parameters[key], last)), logits)
        for form, last in (('contiguous', False), ('channels_last', True))
        for name, nodes in q['graphs'].items()
    }
`;
