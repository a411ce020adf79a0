/**
 * Whatever the network drops, delays, repeats and reorders, however connections end, and whether or
 * not the server comes back as it was: what the application saw is the log, in order, none missed,
 * none twice; every post ends once in the log, in the order written; and what the library says of
 * itself is true all the while. In simulated time. A failure prints the seed and the shortest
 * story; `PARLEY_SEED=… PARLEY_PATH=…` tells that one again, `PARLEY_STORIES=…` tells more.
 */
import { expect, test } from 'bun:test'
import fc from 'fast-check'
import type { Place } from '../../client/types.ts'
import { SimClock } from './sim/clock.ts'
import { CALM } from './sim/network.ts'
import { SimPerson } from './sim/person.ts'
import { ModelServer, TOO_LONG } from './sim/server.ts'

const STORIES = Number(process.env.PARLEY_STORIES ?? 1_000)
const PATH = process.env.PARLEY_PATH
const who = fc.nat(1)
const where = fc.constantFrom<Place>({ room: 'r1' }, { room: 'r2' }, { user: 'cat' })

const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ post: where, who, count: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 3, arbitrary: fc.record({ others: where, count: fc.integer({ min: 1, max: 30 }) }) },
  { weight: 1, arbitrary: fc.record({ refused: fc.constantFrom(TOO_LONG, 'full'), who }) },
  { weight: 9, arbitrary: fc.record({ passMs: fc.constantFrom(5, 30, 300, 3_100, 12_000) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      weather: fc.record({
        drop: fc.constantFrom(0, 0, 0.1, 0.4),
        repeat: fc.constantFrom(0, 0.2),
        reorders: fc.boolean(),
        delayMs: fc.constantFrom(5, 50, 900),
        requestFails: fc.constantFrom(0, 0.2, 0.7),
        refuse: fc.constantFrom(0, 0.3),
      }),
      who,
    }),
  },
  { weight: 2, arbitrary: fc.record({ calm: who }) },
  { weight: 3, arbitrary: fc.record({ cut: fc.constantFrom(1006, 4008, 1001), who }) },
  { weight: 2, arbitrary: fc.record({ deafen: who }) },
  { weight: 1, arbitrary: fc.record({ away: who, forMs: fc.constantFrom(500, 40_000) }) },
  { weight: 1, arbitrary: fc.record({ restart: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ restore: fc.double({ min: 0, max: 1, noNaN: true }) }) },
  { weight: 2, arbitrary: fc.record({ refusals: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 3, arbitrary: fc.record({ permits: fc.integer({ min: 1, max: 20 }), who }) },
  {
    weight: 4,
    arbitrary: fc.record({
      window: fc.constantFrom('older', 'newer', 'jump', 'end'),
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      who,
    }),
  },
  { weight: 2, arbitrary: fc.record({ follow: fc.boolean(), who }) },
  { weight: 1, arbitrary: fc.record({ reload: who }) },
  { weight: 1, arbitrary: fc.record({ discard: who }) },
  { weight: 1, arbitrary: fc.record({ retry: who }) },
  { weight: 1, arbitrary: fc.record({ reconnect: who }) },
)

type Step = typeof step extends fc.Arbitrary<infer One> ? One : never

const BEAT_MS = 20_000
/** Longer than the longest waits one after the other. */
const CALM_MS = 240_000

class Story {
  readonly clock: SimClock
  readonly server: ModelServer
  readonly people: SimPerson[]
  readonly complaints: string[] = []
  #texts = 0

  constructor(seed: number) {
    this.clock = new SimClock(seed)
    this.server = new ModelServer(this.clock)
    const complain = (what: string) => void this.complaints.push(what)
    this.people = ['ann', 'ben'].map(
      (name) => new SimPerson(name, this.clock, this.server, complain),
    )
    for (const person of this.people) person.start()
    this.#beat()
  }

  #beat(): void {
    this.server.beat()
    this.clock.setTimeout(() => this.#beat(), BEAT_MS)
  }

  #text(): string {
    this.#texts += 1
    return `text ${this.#texts}`
  }

  async play(one: Step): Promise<void> {
    if ('passMs' in one) await this.clock.advance(one.passMs)
    else if ('others' in one) this.#others(one.others, one.count)
    else if ('restart' in one) this.#restart(one.restart)
    else if ('restore' in one) this.#restore(one.restore)
    else if ('refusals' in one) this.server.refusals = one.refusals
    else this.#personal(one)
    await this.clock.advance(1)
    for (const person of this.people) person.check()
    expect(this.complaints).toEqual([])
  }

  #others(place: Place, count: number): void {
    for (let i = 0; i < count; i++) this.server.commit('cat', this.#from(place), this.#text())
  }

  /** What cat writes to a user goes to ann. */
  #from(place: Place): Place {
    return 'user' in place ? { user: 'ann' } : place
  }

  #restart(isSeen: boolean): void {
    if (isSeen) this.server.closeAll(1012, '{"retryMs":1000}')
    else for (const { network } of this.people) network.deafen()
    this.server.connections.clear()
  }

  #restore(keep: number): void {
    this.#restart(keep > 0.3)
    this.server.restore(keep)
  }

  #personal(one: Step & object): void {
    const index = 'who' in one ? one.who : (Object.values(one)[0] as number)
    const person = this.people[index]!
    const { network, parley, watcher } = person
    if ('post' in one) for (let i = 0; i < one.count; i++) person.post(one.post, this.#text())
    else if ('refused' in one) this.#refused(person, one.refused)
    else if ('weather' in one) network.weather = one.weather
    else if ('calm' in one) network.weather = CALM
    else if ('cut' in one) network.cut(one.cut)
    else if ('deafen' in one) network.deafen()
    else if ('away' in one) this.#away(person, one.forMs)
    else if ('permits' in one) person.loop.permit(one.permits)
    else if ('follow' in one) watcher?.window.follow(one.follow)
    else if ('reload' in one) person.reload()
    else if ('reconnect' in one) parley.reconnect()
    else if ('window' in one) this.#moveWindow(watcher?.window, one.window, one.at)
    else this.#amend(person, 'discard' in one)
  }

  #refused(person: SimPerson, why: string): void {
    if (why === TOO_LONG) return person.post({ room: 'r1' }, `${this.#text()} ${TOO_LONG}`)
    this.server.isFull = true
    this.clock.setTimeout(() => {
      this.server.isFull = false
    }, 2_000)
  }

  #away({ network }: SimPerson, forMs: number): void {
    network.isDown = true
    network.deafen()
    this.clock.setTimeout(() => {
      network.isDown = false
    }, forMs)
  }

  #moveWindow(
    window: NonNullable<SimPerson['watcher']>['window'] | undefined,
    how: 'older' | 'newer' | 'jump' | 'end',
    at: number,
  ): void {
    if (!window) return
    const moves = {
      older: () => window.loadOlder(),
      newer: () => window.loadNewer(),
      jump: () => window.jumpTo(1 + Math.floor(at * window.head)),
      end: () => window.jumpToEnd(),
    }
    moves[how]().catch(() => {})
  }

  /** Of the posts that failed, or of any, the last one. */
  #amend(person: SimPerson, discard: boolean): void {
    const wanted = discard ? ['failed', 'sending'] : ['failed']
    const own = person.posts.findLast(({ post }) => wanted.includes(post.state))
    if (!own || !person.isIn || own.discarded) return
    if (discard) {
      own.discarded = true
      own.post.discard()
    } else {
      own.retried = true
      own.post.retry()
    }
  }

  /** Everything is well again, and stays so for as long as it takes. */
  async end(): Promise<void> {
    for (const { network, loop } of this.people) {
      network.weather = CALM
      network.isDown = false
      loop.permit(1e9)
    }
    Object.assign(this.server, { isFull: false, refusals: 0 })
    await this.clock.advance(CALM_MS)
    for (const { watcher } of this.people) if (watcher) this.#moveWindow(watcher.window, 'end', 0)
    await this.clock.advance(1_000)
    for (const person of this.people) {
      person.check()
      person.checkEnd()
    }
    expect(this.complaints).toEqual([])
    for (const { parley } of this.people) parley.close()
  }
}

test(
  'what the application sees is the log, whatever happens on the way',
  () => {
    const seed = Number(process.env.PARLEY_SEED ?? Date.now() % 1e9)
    console.log(`${STORIES} stories from PARLEY_SEED=${seed}`)
    return fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.array(step, { minLength: 10, maxLength: 90, size: 'max' }),
        async (chance, steps) => {
          const story = new Story(chance)
          for (const one of steps) await story.play(one)
          await story.end()
        },
      ),
      { numRuns: STORIES, seed, ...(PATH && { path: PATH, endOnFailure: true }) },
    )
  },
  60_000 + STORIES * 30,
)
