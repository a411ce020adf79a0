/**
 * What tests speak in: a real server on a free port with data of its own, and people who do things
 * in verbs. Everything waits for an event with a deadline; nothing sleeps.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Subprocess, spawn } from 'bun'
import { variableName } from '../src/config.ts'

export const DEADLINE_MS = 10_000
export const PASSWORD = 'correct horse battery staple'

/** Rejects with `what` unless `promise` settles in time. */
export async function within<T>(promise: Promise<T>, what: string, ms = DEADLINE_MS): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${ms} ms: ${what}`)), ms)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** Asks again and again, with a deadline, until the answer is not undefined or false. */
export async function until<T>(
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  what: string,
  ms = DEADLINE_MS,
): Promise<T> {
  const deadline = performance.now() + ms
  for (;;) {
    // Asked once more after the deadline: the time may have passed while the machine stood still.
    const isLast = performance.now() > deadline
    const answer = await ask()
    if (answer !== undefined && answer !== false) return answer
    if (isLast) throw new Error(`not within ${ms} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** How long this process has been at work, in milliseconds: none pass while it stands still. */
export function workedMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

export function scratchFolder(within = tmpdir()): { path: string; remove: () => void } {
  const path = mkdtempSync(join(within, 'parley-test-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/** How a server is started, where that is not the usual way. Holds for restarts, too. */
export interface Launch {
  /** What is run; `ServerProcess.command` without it. */
  command?: readonly string[]
  variables?: Record<string, string>
}

/** A server as its users run it: a process of its own. */
export class ServerProcess {
  /** What is run: `src/main.ts`, or an executable that everything was built into. */
  static readonly command: readonly string[] = process.env.PARLEY_EXECUTABLE
    ? [process.env.PARLEY_EXECUTABLE]
    : [process.execPath, join(import.meta.dir, '../src/main.ts')]

  url = ''
  /** All that was printed on standard error. */
  errors = ''
  readonly folder: string
  #process!: Subprocess<'ignore', 'pipe', 'pipe'>
  #collected!: Promise<void>
  readonly #command: readonly string[]
  readonly #variables: Record<string, string>

  private constructor(folder: string, command: readonly string[], variables: Launch['variables']) {
    this.folder = folder
    this.#command = command
    this.#variables = variables ?? {}
  }

  /** Settings by their names in `config.ts`, for example `{ heartbeatMs: 200 }`. */
  static async start(
    settings: Record<string, string | number> = {},
    folder = scratchFolder().path,
    { command = ServerProcess.command, variables = {} }: Launch = {},
  ): Promise<ServerProcess> {
    const given = Object.entries({ rateLimits: 'off', logLevel: 'warn', ...settings })
    const set = given.map(([name, value]) => [variableName(name), String(value)])
    const all = { ...Object.fromEntries(set), ...variables }
    const server = new ServerProcess(folder, command, all)
    await server.restart()
    return server
  }

  get pid(): number {
    return this.#process.pid
  }

  /** Starts the process (again) on the same folder; resolves when it accepts connections. */
  async restart(): Promise<void> {
    this.#process = spawn({
      cmd: [...this.#command],
      env: { ...process.env, PORT: '0', DATA_DIR: this.folder, ...this.#variables },
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    })
    this.#collected = this.#collectErrors(this.#process.stderr)
    this.url = await within(this.#readAddress(this.#process.stdout), 'the server starts', 20_000)
  }

  /** Sends the signal, resolves with the exit code. Unless it is killed its last words are read. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number> {
    this.#process.kill(signal)
    const code = await within(this.#process.exited, `the server ends on ${signal}`, 15_000)
    if (signal === 'SIGTERM') await within(this.#collected, 'its last words are read')
    return code
  }

  async stopAndForget(): Promise<void> {
    await this.stop('SIGKILL')
    rmSync(this.folder, { recursive: true, force: true })
  }

  get exited(): Promise<number> {
    return this.#process.exited
  }

  async #readAddress(output: ReadableStream<Uint8Array>): Promise<string> {
    let text = ''
    const decoder = new TextDecoder()
    for await (const chunk of output) {
      text += decoder.decode(chunk)
      const address = /listening on (http:\S+)/.exec(text)?.[1]
      if (address !== undefined) return address
    }
    await this.#collected
    throw new Error(`The server did not start (${await this.exited}): ${this.errors}`)
  }

  async #collectErrors(output: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder()
    for await (const chunk of output) this.errors += decoder.decode(chunk)
  }
}

export interface Message {
  seq: number
  type: string
  at: string
  from: { id: string; name: string }
  text: string
  room?: string
  user?: string
}

export interface InboxEntry {
  seq: number
  type: 'direct'
  message: Message
}

export interface Room {
  id: string
  name: string
  head: number
  createdAt: string
  createdBy: string
}

let lastNumber = 0
/** A name nobody has yet, in this process. */
export function newName(prefix = 'user'): string {
  lastNumber += 1
  return `${prefix}-${process.pid}-${lastNumber}`
}

/** Someone with an account and a session. */
export class Person {
  readonly url: string
  readonly id: string
  readonly name: string
  readonly token: string
  /** Where posts and subscriptions of this person go to by default. */
  constructor(url: string, id: string, name: string, token: string) {
    this.url = url
    this.id = id
    this.name = name
    this.token = token
  }

  /** A request with this person's token. A `body` goes as JSON. */
  fetch(path: string, init: RequestInit & { json?: unknown } = {}): Promise<Response> {
    return fetchJson(this.url, path, {
      ...init,
      headers: { authorization: `Bearer ${this.token}`, ...(init.headers as object) },
    })
  }

  async get<T>(path: string): Promise<T> {
    return read<T>(await this.fetch(path), 200)
  }

  async createRoom(name = newName('room')): Promise<Room> {
    return read(await this.fetch('/rooms', { method: 'POST', json: { name } }), 201)
  }

  /** `place` is a path such as `/room/{id}` or `/user/{id}`. */
  async post(place: string, text: string, key?: string): Promise<Message> {
    const json = key === undefined ? { text } : { text, key }
    const response = await this.fetch(`${place}/messages`, { method: 'POST', json })
    if (response.status !== 200) return read(response, 201)
    return response.json() as Promise<Message>
  }

  async list(place: string, query = ''): Promise<Message[]> {
    return this.get(`${place}/messages${query}`)
  }

  async signOut(): Promise<void> {
    await read(await this.fetch('/session', { method: 'DELETE' }), 204)
  }
}

export function fetchJson(
  url: string,
  path: string,
  init: RequestInit & { json?: unknown } = {},
): Promise<Response> {
  const { json, headers, ...rest } = init
  if (json === undefined)
    return fetch(url + path, { ...rest, headers: headers as Record<string, string> })
  return fetch(url + path, {
    ...rest,
    headers: { 'content-type': 'application/json', ...(headers as object) },
    body: JSON.stringify(json),
  })
}

/** The body, if the status is the expected one. */
export async function read<T>(response: Response, status: number): Promise<T> {
  const text = await response.text()
  if (response.status !== status)
    throw new Error(`${response.status} instead of ${status} from ${response.url}: ${text}`)
  return (text === '' ? undefined : JSON.parse(text)) as T
}

/** Makes an account and signs in. */
export async function signUp(url: string, name = newName()): Promise<Person> {
  await read(
    await fetchJson(url, '/users', { method: 'POST', json: { name, password: PASSWORD } }),
    201,
  )
  return signIn(url, name)
}

export async function signIn(url: string, name: string): Promise<Person> {
  const json = { name, password: PASSWORD }
  const response = await fetchJson(url, '/sessions', { method: 'POST', json })
  const { token, user } = await read<{ token: string; user: { id: string } }>(response, 201)
  return new Person(url, user.id, name, token)
}
