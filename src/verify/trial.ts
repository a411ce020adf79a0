/**
 * A trial of a server, or of the nodes that are one: people talk, over every transport, while their
 * connections are cut and, if the nodes are ours, one or another is killed; then everything is held
 * against the log.
 *
 * 1. *Gather.* Accounts, rooms, and who talks and listens where.
 * 2. *Talk and harm.* Everybody comes back by the rules of the protocol, at any of the nodes:
 *    talkers with the same key, listeners from their cursor. Some sign out while they listen.
 * 3. *Rest.* Talkers finish what they have begun; listeners have a while to get everything.
 * 4. *Judge.* The log is read as history, once more backwards at every node, and the checker says
 *    what does not fit.
 */
import { signUpPeople } from './accounts.ts'
import { faultsOf } from './checker.ts'
import type { Fault } from './history.ts'
import { Journal } from './journal.ts'
import { Leaver } from './leavers.ts'
import { type Log, readBackwards, readLog } from './pages.ts'
import { type Listener, pause, type Where } from './people.ts'
import { listenersIn, membersOf, openPlaces, type Places, seatsOf, talkersIn } from './places.ts'
import type { ScratchServer } from './scratch-server.ts'
import { transports } from './transports.ts'

/** Between two acts of cutting somebody off, on average. */
const CUT_EVERY_MS = 150
const REST_MS_MAX = 30_000

export interface TrialOptions {
  /** Of the nodes; whoever connects takes one of them. */
  urls: readonly string[]
  /** Those that are ours: now and then one is killed. */
  servers: readonly ScratchServer[]
  people: number
  seconds: number
  kills: number
  /** Once nobody talks any more, what is missing for longer is not going to come. */
  restMsMax?: number
  /** 0 to 1, now and then. */
  tell: (share: number) => void
}

export interface Outcome {
  faults: readonly Fault[]
  acknowledged: number
  repeated: number
  /** In the log, without what is entered in inboxes besides. */
  events: number
  kills: number
  cuts: number
  signOuts: number
  people: number
  rooms: number
  conversations: number
  /** Ascending. */
  latenciesMs: readonly number[]
}

export async function runTrial(options: TrialOptions): Promise<Outcome> {
  const { urls } = options
  const where = () => urls[Math.floor(Math.random() * urls.length)]!
  const journal = new Journal()
  const places = await openPlaces(where, await signUpPeople(where, options.people + 1))
  const { people, rooms, conversations } = places
  const { log, ...done } = await talkAndListen(options, places, where, journal)
  const seats = seatsOf(places)
  for (const url of urls)
    journal.readings.push(...(await readBackwards(url, seats, log, () => journal.now())))
  options.tell(1)
  const events = [...rooms, ...conversations.map(([seat]) => seat)]
  return {
    ...{ faults: judge(journal, places, log), ...done },
    ...{ acknowledged: journal.acknowledged, repeated: journal.repeated },
    ...{ people: people.length, rooms: rooms.length, conversations: conversations.length },
    events: events.reduce((sum, { timeline }) => sum + log.get(timeline)!.length, 0),
    latenciesMs: journal.latenciesMs.sort((a, b) => a - b),
  }
}

/** Phases 2 and 3. */
async function talkAndListen(
  options: TrialOptions,
  places: Places,
  where: Where,
  journal: Journal,
): Promise<{ log: Log; kills: number; cuts: number; signOuts: number }> {
  const talkers = talkersIn(places, where, journal)
  const listeners = listenersIn(places, where, journal)
  const leavers = transports.map((one) => new Leaver(where, journal, places.rooms[0]!, one))
  const listening = listeners.map((listener) => listener.listen())
  const leaving = leavers.map((leaver) => leaver.leave())
  const talking = talkers.map((talker) => talker.talk())
  const harm = await harmUntilDone(options, [...talkers, ...listeners])
  for (const leaver of leavers) leaver.stop()
  // While the others still talk, for else there would be nothing that should not be heard.
  await Promise.all(leaving)
  for (const talker of talkers) talker.stop()
  await Promise.all(talking)
  const log = await readLog(where(), seatsOf(places))
  const hasAll = ({ spot, cursor }: Listener) => cursor >= log.get(spot.timeline)!.length
  await restUntil(() => listeners.every(hasAll), options.restMsMax ?? REST_MS_MAX)
  for (const listener of listeners) listener.stop()
  await Promise.all(listening)
  const signOuts = leavers.reduce((sum, leaver) => sum + leaver.signOuts, 0)
  return { log, ...harm, signOuts }
}

function judge(journal: Journal, places: Places, log: Log): Fault[] {
  const owners = places.inboxes.map(({ timeline, owner }) => [timeline, owner.name] as const)
  return faultsOf({
    ...{ attempts: journal.attempts, readings: journal.readings, log },
    ...{ members: membersOf(places), inboxes: new Map(owners) },
  })
}

/** Goes on until the time is up. Rejects if a server that was killed does not start again. */
async function harmUntilDone(
  { servers, seconds, kills, tell }: TrialOptions,
  all: readonly { cut(): void }[],
): Promise<{ kills: number; cuts: number }> {
  const startedAt = performance.now()
  const share = () => Math.min(1, (performance.now() - startedAt) / (seconds * 1_000))
  const [killed, cuts] = await Promise.all([
    killNowAndThen(servers, kills, share),
    cutNowAndThen(all, share, tell),
  ])
  return { kills: killed, cuts }
}

async function cutNowAndThen(
  all: readonly { cut(): void }[],
  share: () => number,
  tell: (share: number) => void,
): Promise<number> {
  for (let cuts = 0; ; cuts++) {
    await pause(Math.random() * 2 * CUT_EVERY_MS)
    tell(share() * 0.95)
    if (share() === 1) return cuts
    all[Math.floor(Math.random() * all.length)]!.cut()
  }
}

/** Spread evenly, with talk before the first and after the last; while one is away, no other. */
async function killNowAndThen(
  servers: readonly ScratchServer[],
  kills: number,
  share: () => number,
): Promise<number> {
  if (servers.length === 0) return 0
  for (let done = 0; ; ) {
    await pause(Math.random() * CUT_EVERY_MS)
    if (done === kills || share() === 1) return done
    if (share() <= (done + 1) / (kills + 1)) continue
    const server = servers[Math.floor(Math.random() * servers.length)]!
    await server.kill()
    await server.start()
    done += 1
  }
}

async function restUntil(isDone: () => boolean, msMax: number): Promise<void> {
  const deadline = performance.now() + msMax
  while (!isDone() && performance.now() < deadline) await pause(20)
}
