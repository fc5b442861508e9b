import type { ModelEngine } from '../engine.ts';
import { LOSS_STEPS, OPTIMIZER } from '../train-case.ts';
import type { TrainCase } from '../train-case.ts';
import { PYTORCH_FORMATS, pytorchName } from './pytorch-formats.ts';
import type { PytorchFormat } from './pytorch-formats.ts';
import { describeNodes, sendParameters } from './pytorch-model.ts';
import type { PythonProcess } from './python-process.ts';

/**
 * The part of the Python side that trains whole networks: their layers with parameters that have gradients, the mean
 * cross-entropy, autograd, and torch.optim.AdamW, in which biases and parameters of one dimension do not decay.
 */
export const PYTORCH_TRAINING = String.raw`
def training_step(q, x, target, last):
    own = {}
    def parameter(key):
        if key not in own:
            value = in_format(parameters[key].clone(), last)
            own[key] = value.requires_grad_(not key.endswith(('.running_mean', '.running_var')))
        return own[key]
    x = in_format(x.clone(), last).requires_grad_(q['inputGradient'])
    run = network(q['nodes'], x, parameter)
    trained = {key: value for key, value in own.items() if value.requires_grad}
    decays = lambda key: trained[key].dim() > 1 and not key.endswith('.bias')
    settings = q['optimizer']
    groups = [
        {'params': [v for key, v in trained.items() if decays(key) == which], 'weight_decay': decay}
        for which, decay in ((True, settings['weightDecay']), (False, 0.0))
    ]
    optimizer = torch.optim.AdamW([group for group in groups if group['params']], lr=settings['rate'])
    def step():
        x.grad = None
        optimizer.zero_grad(set_to_none=True)
        with torch.enable_grad():
            loss = F.cross_entropy(run().reshape(target.shape), target)
            loss.backward()
        optimizer.step()
        return loss.detach().reshape(1)
    return step

def make_training(q, payload):
    n, h, w, c = q['input']
    x = tensor(payload, 0, (n, h, w, c)).permute(0, 3, 1, 2).contiguous()
    target = tensor(payload, n * h * w * c, (n, q['classes']))
    return {
        form: (training_step(q, x, target, form == 'channels_last'), lambda loss: loss)
        for form in ('contiguous', 'channels_last')
    }
`;

/** A network in training in both memory formats. */
export async function pytorchTraining(
  server: PythonProcess,
  test: TrainCase,
  threads: number,
  signal?: AbortSignal,
): Promise<ModelEngine[]> {
  await sendParameters(server, test, [test.graph], signal);
  await server.request(
    {
      command: 'prepare',
      op: 'training',
      threads,
      input: test.graph.input.shape,
      classes: test.classes,
      inputGradient: test.inputGradient,
      optimizer: OPTIMIZER,
      nodes: describeNodes(test.graph),
    },
    test.input,
    test.targets,
  );
  const engines: ModelEngine[] = [];
  for (const format of PYTORCH_FORMATS) engines.push(await engine(server, format, threads));
  return engines;
}

async function engine(server: PythonProcess, form: PytorchFormat, threads: number): Promise<ModelEngine> {
  const time = async (iterations: number): Promise<number[]> => {
    const { header } = await server.request({ command: 'time', form, iterations });
    return (header.times as unknown[]).map(Number);
  };
  const losses: Float32Array[] = [];
  for (let step = 0; step < LOSS_STEPS; step++) {
    await time(1);
    const { payload } = await server.request({ command: 'output', form });
    losses.push(new Float32Array(Uint8Array.from(payload).buffer));
  }
  return {
    name: pytorchName(form),
    device: 'native',
    threads,
    config: form,
    timingIncludes:
      'forward, loss.backward() and torch.optim.AdamW’s step, timed within Python; the batch is a tensor already',
    time,
    output: () => Promise.resolve(Float32Array.from(losses, ([loss = NaN]) => loss)),
    dispose: async () => {
      await server.request({ command: 'drop', form });
    },
  };
}
