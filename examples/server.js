// Classifies the images that are posted to it:
//   node examples/server.js [--port 8080] [--model convnext-tiny] [--weights FILE]
//   curl --data-binary @photo.jpg http://localhost:8080/
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';

import { createModel } from 'widefield';

import { classifyHandler } from './classify-handler.js';

const { values: options } = parseArgs({
  options: {
    model: { type: 'string', default: 'convnext-tiny' },
    weights: { type: 'string', default: 'synthetic' },
    device: { type: 'string', default: 'auto' },
    port: { type: 'string', default: '8080' },
  },
});

const model = await createModel(options.model, { weights: options.weights, device: options.device });
const server = createServer(classifyHandler(model));
server.listen(Number(options.port), () => {
  console.log(`${options.model} classifies what is posted to http://localhost:${server.address().port}/`);
});

// Answers what has been asked, then lets go of the model.
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close(() => void model.dispose());
    server.closeIdleConnections();
  });
}
