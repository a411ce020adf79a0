/**
 * What a server asked of its disk, and what it told people, in the order in which it happened: as
 * strace saw it. The order is the kernel's: what a thread has synced before another one sends
 * stands before what is sent.
 */
import { closeSync, createReadStream, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { ServerProcess, scratchFolder, until } from '../harness.ts'
import { findOrInstall } from '../services/install.ts'

export type DiskEvent =
  | { kind: 'created'; path: string }
  | { kind: 'unlinked'; path: string }
  | { kind: 'folder'; path: string }
  | { kind: 'synced'; path: string }
  | { kind: 'written'; path: string; at: number; bytes: Buffer }
  | { kind: 'truncated'; path: string; size: number }
  /** Any other call that changes a file. */
  | { kind: 'other'; path: string; call: string }
  /** Bytes that leave for somebody. */
  | { kind: 'sent'; bytes: Buffer }

/** Calls that change files or tell somebody something; any other leaves both as they are. */
const CALLS = [
  ...['open', 'openat', 'creat', 'mkdir', 'mkdirat', 'unlink', 'unlinkat', 'rename', 'renameat'],
  ...['renameat2', 'truncate', 'ftruncate', 'fallocate', 'pwrite64', 'pwritev', 'pwritev2'],
  ...['write', 'writev', 'sendto', 'sendmsg', 'sendmmsg', 'fsync', 'fdatasync'],
]
const BYTES_SHOWN_MAX = 1 << 20

export function findStrace(): Promise<string | undefined> {
  return findOrInstall({ program: 'strace', debianPackage: 'strace' })
}

/** A server that is watched, from its start to its violent end. */
export class TracedServer {
  readonly server: ServerProcess
  readonly #trace: ReturnType<typeof scratchFolder>

  /** `folder` is not there yet, so that its making is seen, too. */
  static async start(
    strace: string,
    folder: string,
    command: readonly string[] = ServerProcess.command,
  ): Promise<TracedServer> {
    const trace = scratchFolder()
    const options = ['-D', '-f', '--seccomp-bpf', '-y', '-xx', '-s', String(BYTES_SHOWN_MAX)]
    const output = ['-o', join(trace.path, 'trace'), '-e', `trace=${CALLS.join()}`]
    const launch = { command: [strace, ...options, ...output, ...command] }
    return new TracedServer(await ServerProcess.start({}, folder, launch), trace)
  }

  private constructor(server: ServerProcess, trace: ReturnType<typeof scratchFolder>) {
    this.server = server
    this.#trace = trace
  }

  get #file(): string {
    return join(this.#trace.path, 'trace')
  }

  /** Kills the server; resolves when all that it did is written down. */
  async kill(): Promise<void> {
    const { pid } = this.server
    await this.server.stop('SIGKILL')
    const ended = new RegExp(`^${pid} +\\+\\+\\+ killed`, 'm')
    await until(() => ended.test(endOf(this.#file)), 'the trace is complete')
  }

  events(): AsyncGenerator<DiskEvent> {
    return readTrace(this.#file)
  }

  /** Ends the server, if it is there still, and forgets the trace. */
  async remove(): Promise<void> {
    await this.server.stop('SIGKILL')
    this.#trace.remove()
  }
}

function endOf(path: string): string {
  if (!existsSync(path)) return ''
  const file = openSync(path, 'r')
  const bytes = Buffer.alloc(4_096)
  const at = Math.max(0, fstatSync(file).size - bytes.length)
  const length = readSync(file, bytes, 0, bytes.length, at)
  closeSync(file)
  return bytes.toString('latin1', 0, length)
}

/**
 * Reads what strace wrote. A call that was interrupted by another thread's stands in two lines:
 *
 * 1. What is sent counts from the first of them: from then on somebody may have it.
 * 2. Everything else counts from the last, when the call has returned.
 */
async function* readTrace(path: string): AsyncGenerator<DiskEvent> {
  const begun = new Map<string, string>()
  for await (const line of createInterface({ input: createReadStream(path, 'latin1') })) {
    const [, thread, rest] = /^(\d+) +(.*)$/.exec(line) ?? []
    if (thread === undefined || rest === undefined) continue
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest)
    if (resumed !== null) {
      const whole = `${begun.get(thread)}${resumed[1]}`
      begun.delete(thread)
      const event = eventOf(whole)
      if (event !== undefined && event.kind !== 'sent') yield event
    } else if (rest.endsWith('<unfinished ...>')) {
      const first = rest.slice(0, -'<unfinished ...>'.length)
      begun.set(thread, first)
      if (/^(send|write)/.test(first)) {
        const event = eventOf(`${first}) = 1`)
        if (event?.kind === 'sent') yield event
      }
    } else {
      const event = eventOf(rest)
      if (event !== undefined) yield event
    }
  }
}

/** A call that has returned. Undefined if it failed, or did nothing to a disk or a person. */
function eventOf(call: string): DiskEvent | undefined {
  const [, name, given, result] = /^(\w+)\((.*)\) += (-?\d+)/s.exec(call) ?? []
  if (name === undefined || given === undefined || Number(result) < 0) return undefined
  const file = /^\d+<([^>]*)>/.exec(given)?.[1]
  const path = file === undefined ? '' : textOf(file)
  const texts = () => [...given.matchAll(/"([^"]*)"/g)].map(([, text]) => bytesOf(text!))
  const numbers = () =>
    given
      .slice(given.lastIndexOf('"') + 1)
      .match(/\d+/g)!
      .map(Number)
  switch (name) {
    case 'fsync':
    case 'fdatasync':
      return { kind: 'synced', path }
    case 'pwrite64':
      return { kind: 'written', path, bytes: texts()[0]!, at: numbers().at(-1)! }
    case 'ftruncate':
      return { kind: 'truncated', path, size: numbers().at(-1)! }
    case 'open':
    case 'openat':
      if (!given.includes('O_CREAT')) return undefined
      return { kind: 'created', path: texts()[0]!.toString() }
    case 'mkdir':
    case 'mkdirat':
      return { kind: 'folder', path: texts()[0]!.toString() }
    case 'unlink':
    case 'unlinkat':
      return { kind: 'unlinked', path: texts()[0]!.toString() }
    default:
      if (/socket|TCP/.test(path)) return { kind: 'sent', bytes: Buffer.concat(texts()) }
      return { kind: 'other', path: path || texts()[0]!.toString(), call: name }
  }
}

function textOf(hex: string): string {
  return bytesOf(hex).toString()
}

/** Of `\\x61\\x62`, and of what is not written so: `socket:[4711]`. */
function bytesOf(hex: string): Buffer {
  return hex.startsWith('\\x') ? Buffer.from(hex.replaceAll('\\x', ''), 'hex') : Buffer.from(hex)
}
