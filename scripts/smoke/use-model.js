// A network on each device: they must agree on a photo.
import { createModel } from 'widefield';

const [, , photo] = process.argv;

const logits = [];
for (const name of ['native', 'wasm']) {
  let model;
  try {
    model = await createModel('mobilenet-v2', { weights: 'synthetic', device: name, threads: 2 });
  } catch (error) {
    if (error.code !== 'unsupported') throw error;
    console.log(`${name} is not available here: ${error.message}`);
    continue;
  }
  const [best] = await model.classify(photo);
  logits.push(await model.run(await model.prepareImage(photo)));
  console.log(`${name} runs ${model.variant.name}: ${best.label}, logit ${best.logit.toFixed(4)}`);
  await model.dispose();
}
if (logits.length === 0) throw new Error('no device works');

const [first, last] = [logits.at(0), logits.at(-1)];
const largest = first.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
const worst = first.reduce((max, x, i) => Math.max(max, Math.abs(x - last[i])), 0) / largest;
if (!(largest > 0 && worst <= 1e-4)) throw new Error(`the devices differ by ${worst} of the largest logit`);
