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

const port = Number(options.port);
if (!(Number.isInteger(port) && port >= 0 && port < 2 ** 16)) {
  console.error(`There is no port ${options.port}: give --port a number below 65536.`);
  process.exit(1);
}

const model = await createModel(options.model, { weights: options.weights, device: options.device });
const server = createServer(classifyHandler(model));
// Senders that take longer than 20 seconds are cut off.
server.requestTimeout = 20_000;
server.on('error', (error) => {
  console.error(`The server stops: ${error.message}`);
  process.exitCode = 1;
  void model.dispose();
});
server.listen(port, () => {
  console.log(`${options.model} classifies what is posted to http://localhost:${server.address().port}/`);
});

// Answers what has been asked, then lets go of the model.
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close(() => void model.dispose());
    server.closeIdleConnections();
  });
}
