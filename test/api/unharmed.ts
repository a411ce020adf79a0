/** A server that is done bad things to, and the proof after each that it is as well as before. */
import { expect } from 'bun:test'
import { PASSWORD, type Person, ServerProcess, signUp } from '../harness.ts'

export class Target {
  readonly server: ServerProcess
  readonly ada: Person
  /** The room everything is aimed at, as a path. */
  readonly place: string
  #posts = 0
  #ended = false

  private constructor(server: ServerProcess, ada: Person, place: string) {
    this.server = server
    this.ada = ada
    this.place = place
    void server.exited.then(() => {
      this.#ended = true
    })
  }

  static async start(settings: Record<string, string | number> = {}): Promise<Target> {
    const server = await ServerProcess.start(settings)
    const ada = await signUp(server.url)
    const room = await ada.createRoom()
    return new Target(server, ada, `/room/${room.id}`)
  }

  get url(): string {
    return this.server.url
  }

  get room(): string {
    return this.place.split('/')[2]!
  }

  /** The headers every request of ada's needs. */
  get headers(): string {
    const { host } = new URL(this.url)
    return `Host: ${host}\r\nAuthorization: Bearer ${this.ada.token}\r\n`
  }

  /**
   * The beginning of a post to the room; its length or encoding, and its body, are still to come.
   */
  get postHead(): string {
    const type = 'Content-Type: application/json\r\n'
    return `POST ${this.place}/messages HTTP/1.1\r\n${this.headers}${type}`
  }

  /** One of the posts that a test expects to succeed. */
  countPost(): void {
    this.#posts += 1
  }

  /**
   * The same process, still taking posts, and none but the expected ones was stored; nothing is in
   * the log that is a bug of ours or somebody's secret.
   */
  async isUnharmed(): Promise<void> {
    const posted = await this.ada.post(this.place, 'an ordinary message')
    this.#posts += 1
    expect(posted.seq).toBe(this.#posts)
    expect(this.#ended).toBe(false)
    for (const never of ['"level":50', '"level":60', '.ts:', this.ada.token, PASSWORD, '$argon2'])
      expect(this.server.errors).not.toContain(never)
  }

  /** Resident memory, in bytes, as the server itself tells it. */
  async residentBytes(): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text()
    return Number(/^parley_resident_memory_bytes (\S+)$/m.exec(text)![1])
  }

  stop(): Promise<void> {
    return this.server.stopAndForget()
  }
}

/** What no answer may ever show, whatever was sent. */
export function expectHarmless(body: string): void {
  expect(body).not.toMatch(/\.ts\b|node_modules|\bat async\b|Error:|SQLITE|\$argon2/)
}
