// A handler for Node's servers, and thus for Express and Fastify: examples/README.md shows how.

/** What went wrong, as HTTP says it; anything else is the server's fault. */
const STATUS_OF_CODE = { 'invalid-argument': 400, unsupported: 415 };

/**
 * Classifies the image in the body of a POST request; `?top=3` asks for three classes. One model serves all requests:
 * images are decoded side by side, and the network runs on one after the other. Requests whose client has gone are
 * dropped, those that would wait behind too many others are told to come back. Bodies that are still on their way count
 * apart, so that slow senders do not keep the others out.
 */
export function classifyHandler(
  model,
  { maxBytes = 20e6, maxPixels = 50e6, maxWaiting = 32, maxUploads = 128 } = {},
) {
  const uploads = places(maxUploads);
  const waiting = places(maxWaiting);
  return async (request, response) => {
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    try {
      if (request.method !== 'POST') throw new HttpError(405, 'POST an image.');
      const top = Number(new URLSearchParams(request.url.split('?')[1]).get('top') ?? 5);
      const image = await uploads(() => readBody(request, maxBytes));
      const classes = await waiting(() => model.classify(image, { top, maxPixels, signal: gone.signal }));
      answer(response, 200, { model: model.variant.name, classes });
    } catch (error) {
      if (gone.signal.aborted) return;
      const status = error instanceof HttpError ? error.status : (STATUS_OF_CODE[error.code] ?? 500);
      if (status === 500) console.error(error);
      answer(response, status, { error: status === 500 ? 'The server failed.' : error.message });
    }
  };
}

/** Runs work while there are fewer than `most` of its kind. */
function places(most) {
  let taken = 0;
  return async (work) => {
    if (taken >= most) throw new HttpError(503, 'Too many requests are waiting: try again.');
    taken++;
    try {
      return await work();
    } finally {
      taken--;
    }
  };
}

class HttpError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Reads no more than it may keep. */
async function readBody(request, maxBytes) {
  const tooLarge = new HttpError(413, `Images may have ${maxBytes} bytes at most.`);
  if (Number(request.headers['content-length']) > maxBytes) throw tooLarge;
  const chunks = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw tooLarge;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function answer(response, status, body) {
  // What is left of a body that was refused is not worth reading.
  const close = status === 413 || status === 503 ? { Connection: 'close' } : {};
  const later = status === 503 ? { 'Retry-After': '1' } : {};
  response.writeHead(status, { 'Content-Type': 'application/json', ...close, ...later });
  response.end(`${JSON.stringify(body)}\n`);
}
