// The snippet of docs/LAB.md, then what it must come to.
import { writeFile } from 'node:fs/promises';

import { buildModel } from 'widefield';
import { amdahl, findDevice, kernelCosts, waterline } from 'widefield/lab';
import { plotWaterlines } from 'widefield/lab/node';

const graph = buildModel('efficientnet-b5', { batch: 128 });
const line = waterline(kernelCosts(graph), findDevice('a5000'));
console.log(`at least ${line.minLatencyMs.toFixed(0)} ms`, amdahl(line)[0].name);
const svg = plotWaterlines([{ title: graph.name, line }], { title: 'Waterline' });
await writeFile('waterline.svg', svg);

if (Math.abs(line.minLatencyMs - 116) > 1) throw new Error(`the least latency is ${line.minLatencyMs} ms`);
if (!/^<svg .*<\/svg>$/s.test(svg.trim())) throw new Error('the picture is no SVG document');
