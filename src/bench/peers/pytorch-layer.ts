import type { LayerEngine } from '../engine.ts';
import { LAYER_PARTS } from '../train-layer-case.ts';
import type { LayerCase, LayerPart } from '../train-layer-case.ts';
import { PYTORCH_FORMATS, pytorchName } from './pytorch-formats.ts';
import type { PytorchFormat } from './pytorch-formats.ts';
import type { PythonProcess } from './python-process.ts';

/**
 * The part of the Python side that runs a depthwise layer in training, each gradient by the function that autograd
 * calls for it.
 */
export const PYTORCH_LAYER = String.raw`
def depthwise_layer(q, payload):
    n, h, w, c = q['input']
    kh, kw = q['kernel']
    top, bottom, left, right = q['padding']
    if top != bottom or left != right:
        raise NotImplementedError('a convolution with more padding on one side than on the other has no gradient of one call')
    map = n * h * w * c
    shape = (n, h, w, c)
    last = [tensor(payload, offset, shape).permute(0, 3, 1, 2) for offset in (0, map)]
    weight = tensor(payload, 2 * map, (c, 1, kh, kw))
    to_nhwc = lambda y: y.permute(0, 2, 3, 1)
    def parts(x, dy, weight):
        def gradient(index):
            mask = [index == 0, index == 1, False]
            backward = torch.ops.aten.convolution_backward
            return lambda: backward(dy, x, weight, None, [1, 1], [top, left], [1, 1], False, [0, 0], c, mask)[index]
        return {
            'forward': (lambda: F.conv2d(x, weight, padding=(top, left), groups=c), to_nhwc),
            'input gradient': (gradient(0), to_nhwc),
            'weight gradient': (gradient(1), lambda y: y),
        }
    formats = {
        'contiguous': parts(*[v.contiguous() for v in last], weight),
        'channels_last': parts(*last, weight.contiguous(memory_format=torch.channels_last)),
    }
    return {f'{name}|{part}': form for name, made in formats.items() for part, form in made.items()}
`;

/** All parts of a layer in both memory formats. */
export async function pytorchLayer(
  server: PythonProcess,
  { problem, input, gradient, weight }: LayerCase,
  threads: number,
): Promise<LayerEngine[]> {
  const { batch, height, width, channels, kernelHeight, kernelWidth, padding } = problem;
  const sizes = {
    input: [batch, height, width, channels],
    kernel: [kernelHeight, kernelWidth],
    padding: [padding.top, padding.bottom, padding.left, padding.right],
  };
  await server.request(
    { command: 'prepare', op: 'depthwise layer', threads, ...sizes },
    input,
    gradient,
    weight,
  );
  return PYTORCH_FORMATS.flatMap((format) =>
    LAYER_PARTS.map((part) => engine(server, format, part, threads)),
  );
}

function engine(server: PythonProcess, format: PytorchFormat, part: LayerPart, threads: number): LayerEngine {
  const form = `${format}|${part}`;
  return {
    part,
    name: pytorchName(format),
    device: 'native',
    threads,
    config: format,
    timingIncludes:
      'the operation alone (gradients: aten::convolution_backward), timed within Python, result allocated anew',
    time: async (iterations) => {
      const { header } = await server.request({ command: 'time', form, iterations });
      return (header.times as unknown[]).map(Number);
    },
    output: async () => {
      const { payload } = await server.request({ command: 'output', form });
      return new Float32Array(Uint8Array.from(payload).buffer);
    },
    dispose: async () => {
      await server.request({ command: 'drop', form });
    },
  };
}
