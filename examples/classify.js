// Says what photos show:
//   node examples/classify.js [photo…] [--model replknet-31b] [--weights FILE]
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';

import { createModel } from 'widefield';

const samples = ['astronaut.jpg', 'chelsea.jpg', 'coffee.jpg'].map((name) =>
  fileURLToPath(new URL(`photos/${name}`, import.meta.url)),
);
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: 'string', default: 'replknet-31b' },
    weights: { type: 'string', default: 'synthetic' },
    device: { type: 'string', default: 'auto' },
  },
});
const photos = positionals.length > 0 ? positionals : samples;

if (options.weights === 'synthetic') {
  console.log('Synthetic weights have learned nothing, so the labels mean nothing: give --weights FILE.\n');
}
const model = await createModel(options.model, { weights: options.weights, device: options.device });
try {
  for (const photo of photos) {
    const start = performance.now();
    const classes = await model.classify(photo, { top: 3 });
    console.log(`${photo} (${(performance.now() - start).toFixed(0)} ms, ${model.device.caps.name})`);
    for (const { label, probability } of classes) {
      console.log(`  ${(100 * probability).toFixed(1).padStart(5)} %  ${label}`);
    }
  }
} finally {
  await model.dispose();
}
