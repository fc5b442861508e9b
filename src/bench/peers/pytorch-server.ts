import { PYTORCH_LAYER } from './pytorch-layer.ts';
import { PYTORCH_NETWORK } from './pytorch-network.ts';
import { PYTORCH_TRAINING } from './pytorch-training.ts';

/**
 * The Python side of the PyTorch peer. Requests on standard input and replies on standard output are one
 * line of JSON each, followed by `bytes` bytes of little-endian float32 where it says so. Python takes the
 * times, around the operation alone.
 */
export const PYTORCH_SERVER = String.raw`
import functools, json, math, sys, time
import torch
import torch.nn.functional as F

stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
forms = {}
results = {}

def reply(header, payload=b''):
    stdout.write(json.dumps({**header, 'bytes': len(payload)}).encode() + b'\n' + payload)
    stdout.flush()

def tensor(payload, offset, shape):
    count = math.prod(shape)
    return torch.frombuffer(payload, dtype=torch.float32, count=count, offset=4 * offset).reshape(shape).clone()

def depthwise(q, payload):
    n, h, w, c = q['input']
    kh, kw = q['kernel']
    top, bottom, left, right = q['padding']
    nhwc = tensor(payload, 0, (n, h, w, c))
    weight = tensor(payload, n * h * w * c, (c, 1, kh, kw))
    last = nhwc.permute(0, 3, 1, 2)
    def conv(x, weight):
        if top == bottom and left == right:
            return lambda: F.conv2d(x, weight, padding=(top, left), groups=c)
        return lambda: F.conv2d(F.pad(x, (left, right, top, bottom)), weight, groups=c)
    to_nhwc = lambda y: y.permute(0, 2, 3, 1)
    return {
        'contiguous': (conv(last.contiguous(), weight), to_nhwc),
        'channels_last': (conv(last, weight.contiguous(memory_format=torch.channels_last)), to_nhwc),
    }

def pointwise(q, payload):
    rows, inputs = q['input']
    outputs = q['outputs']
    x = tensor(payload, 0, (rows, inputs))
    weight = tensor(payload, rows * inputs, (outputs, inputs))
    transposed = weight.t().contiguous()
    weight4 = weight.reshape(outputs, inputs, 1, 1)
    last = x.reshape(1, rows, 1, inputs).permute(0, 3, 1, 2)
    contiguous = last.contiguous()
    to_rows = lambda y: y.permute(0, 2, 3, 1).reshape(rows, outputs)
    return {
        'linear': (lambda: F.linear(x, weight), lambda y: y),
        'matmul': (lambda: torch.matmul(x, transposed), lambda y: y),
        'conv2d contiguous': (lambda: F.conv2d(contiguous, weight4), to_rows),
        'conv2d channels_last': (lambda: F.conv2d(last, weight4), to_rows),
    }

${PYTORCH_LAYER}
${PYTORCH_NETWORK}
${PYTORCH_TRAINING}
def rest():
    # Threads go on spinning for a while after a run, which would slow down whoever runs next.
    for _ in range(75):
        before = time.process_time()
        time.sleep(4e-3)
        if time.process_time() - before < 1e-3:
            return

def handle(q, payload):
    command = q['command']
    if command == 'prepare':
        torch.set_num_threads(q['threads'])
        makers = {
            'depthwise': depthwise, 'pointwise': pointwise, 'network': make_network,
            'depthwise layer': depthwise_layer, 'training': make_training,
        }
        made = makers[q['op']](q, payload)
        forms.clear()
        results.clear()
        forms.update(made)
        reply({'forms': list(forms)})
    elif command == 'time':
        run = forms[q['form']][0]
        times = []
        for _ in range(q['iterations']):
            start = time.perf_counter()
            y = run()
            times.append((time.perf_counter() - start) * 1e3)
        results[q['form']] = y
        rest()
        reply({'times': times})
    elif command == 'parameter':
        parameters[q['key']] = tensor(payload, 0, q['shape'])
        reply({})
    elif command == 'drop':
        forms.pop(q['form'], None)
        results.pop(q['form'], None)
        if not forms:
            parameters.clear()
        reply({})
    elif command == 'clear':
        forms.clear()
        results.clear()
        parameters.clear()
        reply({})
    elif command == 'output':
        y = forms[q['form']][1](results[q['form']]).contiguous()
        reply({}, y.numpy().tobytes())

with torch.no_grad():
    reply({'version': torch.__version__, 'python': sys.version.split()[0]})
    while True:
        line = stdin.readline()
        if not line:
            break
        request = json.loads(line)
        body = bytearray(request['bytes'])
        stdin.readinto(body)
        try:
            handle(request, body)
        except Exception as error:
            reply({'error': f'{type(error).__name__}: {error}'.split('\n')[0]})
`;
