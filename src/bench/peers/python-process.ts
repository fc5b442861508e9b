import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';

/** A reply: its JSON header, and the bytes that followed it. */
export interface Reply {
  readonly header: Readonly<Record<string, unknown>>;
  readonly payload: Buffer;
}

interface Waiting {
  resolve(reply: Reply): void;
  reject(error: Error): void;
}

/** How much of the interpreter's complaints is kept for error messages. */
const STDERR_CHARACTERS = 4000;
/** PyTorch takes 20 seconds on slow machines. */
const GREETING_SECONDS = 60;

/**
 * A Python process that answers requests one by one. Both directions carry a line of JSON followed by the
 * bytes that its field `bytes` counts.
 */
export class PythonProcess {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #waiting: Waiting[] = [];
  /** Received and not yet understood. */
  #chunks: Buffer[] = [];
  #received = 0;
  /** The next reply cannot be complete with fewer bytes. */
  #needed = 1;
  #stderr = '';
  #failure: Error | undefined;

  /** Starts `interpreter -c script`; the script sends one reply unasked, see `greeting`. */
  constructor(interpreter: string, script: string) {
    this.#child = spawn(interpreter, ['-c', script], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.on('error', (error) => {
      this.#fail(error);
    });
    this.#child.on('close', (code) => {
      this.#fail(new Error(lastLine(this.#stderr) ?? `${interpreter} ended with exit code ${code ?? '?'}`));
    });
    this.#child.stdin.on('error', () => undefined); // a process that ended early; `close` tells why
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_CHARACTERS);
    });
    this.#child.stdout.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#received += chunk.length;
      try {
        this.#deliver();
      } catch (error) {
        this.#fail(error instanceof Error ? error : new Error(String(error)));
      }
    });
  }

  /** The reply that the script sends first. Throws if there is none for that many seconds: importing packages takes some. */
  async greeting(seconds = GREETING_SECONDS): Promise<Reply> {
    const timer = setTimeout(() => {
      this.#fail(new Error(`it does not answer within ${seconds} s`));
    }, 1000 * seconds);
    try {
      return await this.#next();
    } finally {
      clearTimeout(timer);
    }
  }

  async request(header: Readonly<Record<string, unknown>>, ...payload: Float32Array[]): Promise<Reply> {
    const bytes = payload.reduce((sum, part) => sum + part.byteLength, 0);
    const reply = this.#next();
    this.#child.stdin.write(`${JSON.stringify({ ...header, bytes })}\n`);
    for (const part of payload) {
      this.#child.stdin.write(Buffer.from(part.buffer, part.byteOffset, part.byteLength));
    }
    const answer = await reply;
    if (typeof answer.header.error === 'string') throw new Error(answer.header.error);
    return answer;
  }

  end(): void {
    this.#child.stdin.end();
    this.#child.kill();
    // What it has started may hold them open.
    this.#child.stdout.destroy();
    this.#child.stderr.destroy();
  }

  #next(): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) reject(this.#failure);
      else this.#waiting.push({ resolve, reject });
    });
  }

  /** Hands over the complete replies among the bytes received so far. */
  #deliver(): void {
    while (this.#received >= this.#needed) {
      const bytes = Buffer.concat(this.#chunks);
      this.#chunks = [bytes];
      const start = bytes.indexOf(10) + 1;
      if (start === 0) return;
      const header = parseHeader(bytes.toString('utf8', 0, start));
      const end = start + Number(header.bytes ?? 0);
      this.#needed = end;
      if (bytes.length < end) return;
      this.#chunks = [bytes.subarray(end)];
      this.#received -= end;
      this.#needed = 1;
      this.#waiting.shift()?.resolve({ header, payload: bytes.subarray(start, end) });
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const waiting of this.#waiting.splice(0)) waiting.reject(this.#failure);
  }
}

function parseHeader(line: string): Record<string, unknown> {
  const header: unknown = JSON.parse(line);
  if (typeof header !== 'object' || header === null) throw new Error(`Unexpected reply from Python: ${line}`);
  return header as Record<string, unknown>;
}

function lastLine(text: string): string | undefined {
  return text.trim().split('\n').at(-1)?.trim() || undefined;
}
