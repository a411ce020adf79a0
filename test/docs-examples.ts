/**
 * The examples of a document, run as a reader would run them: every `sh` block goes, in order, into
 * one shell; every `frames` block is spoken over a real WebSocket; a block marked `output` must
 * match what the block before it printed. In what is expected, `…` stands for anything.
 */
import { join } from 'node:path'
import { type Subprocess, spawn } from 'bun'
import { until, within } from './harness.ts'
import { type AnyFrame, Socket } from './live.ts'

const DOCUMENTED_URL = 'http://127.0.0.1:8080'
/** A shell variable as the documents name them; in `frames` blocks it stands for its value. */
const VARIABLE = /\b[A-Z]+_(?:ID|TOKEN)\b/g

export interface Block {
  /** The words after the fence, for example `json output`. */
  info: string
  text: string
  /** Of its first line in the document, for messages. */
  line: number
}

/** All fenced blocks of a Markdown text. */
export function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = []
  let open: Block | undefined
  for (const [index, line] of markdown.split('\n').entries()) {
    const fence = /^```(.*)$/.exec(line)
    if (open === undefined) {
      if (fence) open = { info: fence[1]!.trim(), text: '', line: index + 2 }
    } else if (fence) {
      blocks.push(open)
      open = undefined
    } else open.text += `${line}\n`
  }
  if (open !== undefined) throw new Error(`The fence before line ${open.line} is never closed.`)
  return blocks
}

/** Whether `actual` looks like `expected`, where `…` stands for anything. */
export function looksLike(expected: string, actual: string): boolean {
  const parts = expected.split('…').map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`, 's').test(actual)
}

/** The same for JSON: the same keys in any order, strings by `looksLike`, the rest equal. */
export function sameShape(expected: unknown, actual: unknown): boolean {
  if (typeof expected === 'string') return typeof actual === 'string' && looksLike(expected, actual)
  if (typeof expected !== 'object' || expected === null) return Object.is(expected, actual)
  if (typeof actual !== 'object' || actual === null) return false
  if (Array.isArray(expected) !== Array.isArray(actual)) return false
  const keys = Object.keys(expected)
  if (keys.length !== Object.keys(actual).length) return false
  return keys.every(
    (key) =>
      Object.hasOwn(actual, key) &&
      sameShape((expected as AnyFrame)[key], (actual as AnyFrame)[key]),
  )
}

/**
 * Runs the blocks against the server at `url`. Rejects at the first that does not do as it says.
 */
export async function runExamples(blocks: readonly Block[], url: string): Promise<void> {
  const shell = new Shell(url)
  const sockets = new Sockets(url, shell)
  try {
    for (const block of blocks) {
      const [kind, role] = block.info.split(' ')
      if (kind === 'sh') await shell.run(block, role === 'refused')
      else if (kind === 'frames') await sockets.speak(block)
      else if (role === 'output') await shell.expect(block)
      else if (kind !== 'js' && kind !== 'text')
        throw new Error(`line ${block.line}: what is a block of "${block.info}" for?`)
    }
  } finally {
    sockets.close()
    shell.stop()
  }
}

class Shell {
  readonly #process: Subprocess<'pipe', 'pipe', 'pipe'>
  readonly #url: string
  #output = ''
  #errors = ''
  #markers = 0
  /** Where the output of the latest block begins. */
  #from = 0

  constructor(url: string) {
    this.#url = url
    this.#process = spawn({
      cmd: ['bash', '--noprofile', '--norc', '-s'],
      cwd: join(import.meta.dir, '..'),
      env: { PATH: process.env.PATH },
      // A group of its own, so that what the examples leave in the background ends with it.
      detached: true,
      stdin: 'pipe',
      stdout: 'pipe',
      stderr: 'pipe',
    })
    void this.#collect(this.#process.stdout, (text) => {
      this.#output += text
    })
    void this.#collect(this.#process.stderr, (text) => {
      this.#errors += text
    })
    // An error of the server fails the example, unless the example is there to show one.
    this.#write(
      'set -euo pipefail; REFUSED=; curl() { command curl $' +
        '{REFUSED:---fail-with-body} "$@"; }\n',
    )
  }

  async run({ text, line }: Block, refused = false): Promise<void> {
    this.#from = this.#output.length
    const script = text.replaceAll(DOCUMENTED_URL, this.#url)
    this.#write(`REFUSED=${refused ? '--no-fail' : ''}\n${script}`)
    await this.#finished(`the example at line ${line} ends well`)
  }

  /** Output may come late, from what runs in the background. */
  async expect({ info, text, line }: Block): Promise<void> {
    const fits = info.startsWith('json')
      ? () => this.#printed().some((one) => isJsonLike(text, one))
      : () => showsLines(text.trimEnd().split('\n'), this.#printed())
    await until(fits, `the output at line ${line}`).catch((error: Error) => {
      throw new Error(`${error.message}, but:\n${this.#printed().join('\n')}`)
    })
  }

  async valueOf(variable: string): Promise<string> {
    const start = this.#output.length
    this.#write(`printf '%s' "\${${variable}}"\n`)
    await this.#finished(`the shell knows ${variable}`)
    return /^(.*?)\u0001/s.exec(this.#output.slice(start))?.[1] ?? ''
  }

  stop(): void {
    try {
      process.kill(-this.#process.pid, 'SIGKILL')
    } catch {
      // It has ended by itself, because an example failed.
    }
  }

  #printed(): string[] {
    const text = this.#output.slice(this.#from).replace(/\u0001\d+\n/g, '')
    return text.replaceAll(this.#url, DOCUMENTED_URL).split(/\r?\n/)
  }

  #write(script: string): void {
    this.#process.stdin.write(script)
    this.#process.stdin.flush()
  }

  async #finished(what: string): Promise<void> {
    const marker = `\u0001${++this.#markers}\n`
    this.#write(`printf '\\001%d\\n' ${this.#markers}\n`)
    const ended = this.#process.exited.then((code) => {
      throw new Error(
        `not so: ${what} (exit ${code})\n${this.#printed().join('\n')}${this.#errors}`,
      )
    })
    ended.catch(() => {})
    await Promise.race([until(() => this.#output.includes(marker), what), ended])
  }

  async #collect(output: ReadableStream<Uint8Array>, take: (text: string) => void) {
    const decoder = new TextDecoder()
    for await (const chunk of output) take(decoder.decode(chunk, { stream: true }))
  }
}

function isJsonLike(expected: string, line: string): boolean {
  try {
    return sameShape(JSON.parse(expected), JSON.parse(line))
  } catch {
    return false
  }
}

/** Whether lines like these are among `actual`: in this order, or in any if headers are shown. */
function showsLines(expected: readonly string[], actual: readonly string[]): boolean {
  const like = (line: string) => (one: string) => looksLike(line.trim(), one.trim())
  if (actual[0]?.startsWith('HTTP/')) return expected.every((line) => actual.some(like(line)))
  let at = 0
  for (const line of actual) if (at < expected.length && like(expected[at]!)(line)) at += 1
  return at === expected.length
}

/**
 * `frames` blocks. `GET path` opens a socket; without one, a block goes on with the last socket.
 */
class Sockets {
  readonly #url: string
  readonly #shell: Shell
  #socket: Socket | undefined
  readonly #all: Socket[] = []

  constructor(url: string, shell: Shell) {
    this.#url = url
    this.#shell = shell
  }

  async speak({ text, line: first }: Block): Promise<void> {
    const lines = (await this.#substituted(text)).trimEnd().split('\n')
    for (const [index, line] of lines.entries()) {
      const where = `line ${first + index}`
      if (line.startsWith('GET ')) await this.#open(line.slice(4), lines[index + 1] ?? '')
      else if (line.startsWith('> ')) this.#socket!.send(line.slice(2))
      else if (line.startsWith('< ')) await this.#receive(line.slice(2), where)
      else if (line.startsWith('closed ')) await this.#closes(line.slice(7), where)
      else if (!/^Authorization: /.test(line)) throw new Error(`${where}: what is "${line}"?`)
    }
  }

  close(): void {
    for (const socket of this.#all) socket.close()
  }

  async #substituted(text: string): Promise<string> {
    let result = text
    for (const variable of new Set(text.match(VARIABLE)))
      result = result.replaceAll(variable, await this.#shell.valueOf(variable))
    return result
  }

  async #open(path: string, header: string): Promise<void> {
    const authorization = /^Authorization: (.*)$/.exec(header)?.[1]
    this.#socket = await Socket.open(this.#url, path, authorization ? { authorization } : {})
    this.#all.push(this.#socket)
  }

  /** `heads` come when they come, so they are passed over unless one is expected. */
  async #receive(expected: string, where: string): Promise<void> {
    const wanted = JSON.parse(expected)
    const frame = await this.#socket!.frames.find(
      ({ heads }) => heads === undefined || wanted.heads !== undefined,
      `${where}: ${expected}`,
    )
    if (!sameShape(wanted, frame))
      throw new Error(`${where}: ${expected} is expected, not ${JSON.stringify(frame)}`)
  }

  async #closes(expected: string, where: string): Promise<void> {
    const { code, reason } = await within(this.#socket!.closed, `${where}: ${expected}`)
    if (`${code} ${reason}` !== expected)
      throw new Error(`${where}: closed ${code} ${reason}, not ${expected}`)
  }
}
