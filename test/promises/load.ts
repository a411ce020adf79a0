/**
 * People who talk in two rooms, over HTTP and WebSocket, and readers by every transport, for as
 * long as somebody does harm. Nothing is lost, repeated or left out, whatever that is.
 */
import { epochOf } from '../cluster/cluster.ts'
import { type Person, signUp, until } from '../harness.ts'
import { Follower, Run, roomSpot, type Spot, VIAS } from './run.ts'

export interface LoadOptions {
  authors?: number
  /** Posts that each author keeps in flight over a WebSocket, in each room. */
  inFlight?: number
}

export class Load {
  readonly run: Run
  readonly reader: Person
  readonly authors: readonly Person[]
  readonly spots: readonly Spot[]
  readonly followers: readonly Follower[]
  readonly #posting: Promise<unknown>

  /** `server` is asked for its address whenever somebody connects. */
  static async start(server: { readonly url: string }, options: LoadOptions = {}): Promise<Load> {
    const { authors = 2, inFlight = 8 } = options
    const everyone = Array.from({ length: authors + 1 }, () => signUp(server.url))
    const [reader, ...others] = (await Promise.all(everyone)) as [Person, ...Person[]]
    const rooms = [await reader.createRoom(), await reader.createRoom()]
    const spots = rooms.map(({ id }) => roomSpot(id))
    return new Load(new Run(server), reader, others, spots, await epochOf(reader), inFlight)
  }

  private constructor(
    run: Run,
    reader: Person,
    authors: Person[],
    spots: Spot[],
    epoch: string,
    inFlight: number,
  ) {
    this.run = run
    this.reader = reader
    this.authors = authors
    this.spots = spots
    this.followers = spots.flatMap((spot) =>
      VIAS.map((via) => new Follower(run, reader, spot, via, epoch)),
    )
    const posting = spots.flatMap((spot) =>
      authors.flatMap((author) => [
        run.postHttp(author, spot),
        run.postSocket(author, spot, inFlight),
      ]),
    )
    this.#posting = Promise.all(posting)
    // Whoever gives up is heard of at the end.
    this.#posting.catch(() => {})
  }

  /** Resolves when so many more posts are acknowledged. */
  async goesOn(posts = 20, ms?: number): Promise<void> {
    const before = this.run.acknowledged
    await until(() => this.run.acknowledged >= before + posts, 'posts go on', ms)
  }

  /** Everyone finishes what they have begun, readers too; then tells what is wrong. */
  async faults(): Promise<string[]> {
    const { run, reader, spots } = this
    run.stopping = true
    await this.#posting
    await this.#askAgain()
    // Of what was stored without an answer, readers hear with the next event.
    for (const spot of spots)
      await until(() => run.tryHttp(reader, spot, run.draft(reader.name)), 'one more is posted')
    const heads = new Map<string, number>()
    for (const { timeline, path } of spots)
      heads.set(timeline, (await run.at(reader).get<{ head: number }>(path)).head)
    await Promise.all(this.followers.map((one) => one.finish(heads.get(one.timeline)!)))
    const faults = await run.faults(reader, spots)
    return faults.map(({ kind, timeline, what }) => `${kind} in ${timeline}: ${what}`)
  }

  /** Attempts that nobody can tell the outcome of. */
  get unknown() {
    return this.run.attempts.filter(({ outcome }) => outcome === 'unknown')
  }

  /** How long the slowest of all answers took. */
  get slowestMs(): number {
    const waits = this.run.attempts.map(({ invokedAt, completedAt }) => completedAt - invokedAt)
    return waits.reduce((most, one) => Math.max(most, one), 0)
  }

  /** How long after its acknowledgement the latest event was seen, by the latest reader. */
  get latestMs(): number {
    const ackedAt = new Map<string, number>()
    for (const { text, outcome, completedAt } of this.run.attempts)
      if (outcome === 'ok' && !ackedAt.has(text)) ackedAt.set(text, completedAt)
    const events = this.run.readings.flatMap((reading) => reading.events)
    const delay = (text: string, at: number) => at - (ackedAt.get(text) ?? at)
    return events.reduce((most, { text, at }) => Math.max(most, delay(text, at)), 0)
  }

  /** Every answer to a key names the same seq, also now: the checker compares them. */
  async #askAgain(): Promise<void> {
    const { run } = this
    const some = [...this.unknown, ...run.attempts.slice(-50)]
    const again = new Map(some.map((one) => [one.key, one]))
    for (const { client, key, text, timeline } of again.values()) {
      const author = this.authors.find(({ name }) => name === client)!
      const spot = this.spots.find((one) => one.timeline === timeline)!
      await until(() => run.tryHttp(author, spot, { client, key, text }), `${key} is known`)
    }
  }
}
