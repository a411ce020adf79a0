/**
 * A trial of a server: people talk, over every transport, while their connections are cut and, if
 * the server is ours, its process is killed; then everything is held against the log.
 *
 * 1. *Gather.* Accounts, rooms, and who talks and listens where.
 * 2. *Talk and harm.* Everybody comes back by the rules of the protocol: talkers with the same key,
 *    listeners from their cursor.
 * 3. *Rest.* Talkers finish what they have begun; listeners have a while to get everything.
 * 4. *Judge.* The log is read as history, and the checker says what does not fit.
 */
import { ask, signUpPeople } from './accounts.ts'
import { type Fault, faultsOf } from './checker.ts'
import { Journal, type Person, type Spot } from './journal.ts'
import { HttpTalker, Listener, pause, SocketTalker, type Talker } from './people.ts'
import type { ScratchServer } from './scratch-server.ts'
import { transports } from './transports.ts'

const ROOMS = 3
/** Between two acts of cutting somebody off, on average. */
const CUT_EVERY_MS = 150
const REST_MS_MAX = 30_000
const PAGE = 1_000

export interface TrialOptions {
  url: string
  /** If there, it is killed now and then. */
  server: ScratchServer | undefined
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
  events: number
  kills: number
  cuts: number
  people: number
  rooms: number
  conversations: number
  /** Ascending. */
  latenciesMs: readonly number[]
}

export async function runTrial(options: TrialOptions): Promise<Outcome> {
  const journal = new Journal()
  const people = await signUpPeople(options.url, options.people)
  const { rooms, conversations } = await openSpots(options.url, people)
  const talkers = talkersOf(options.url, journal, people, rooms, conversations)
  const listeners = listenersOf(options.url, journal, people, rooms, conversations)
  const listening = listeners.map((listener) => listener.listen())
  const talking = talkers.map((talker) => talker.talk())
  const harm = await harmUntilDone(options, talkers, listeners)
  for (const talker of talkers) talker.stop()
  await Promise.all(talking)
  const log = await readLogs(options.url, [...rooms, ...conversations])
  const heads = new Map([...log].map(([{ timeline }, events]) => [timeline, events.length]))
  const isDone = () => listeners.every(({ spot, cursor }) => cursor >= heads.get(spot.timeline)!)
  await restUntil(isDone, options.restMsMax ?? REST_MS_MAX)
  for (const listener of listeners) listener.stop()
  await Promise.all(listening)
  options.tell(1)
  const faults = faultsOf({
    attempts: journal.attempts,
    log: new Map([...log].map(([spot, events]) => [spot.timeline, events])),
    readings: journal.readings,
  })
  return {
    ...{ faults, ...harm, acknowledged: journal.acknowledged, repeated: journal.repeated },
    ...{ people: people.length, rooms: rooms.length, conversations: conversations.length },
    events: [...log.values()].reduce((sum, events) => sum + events.length, 0),
    latenciesMs: journal.latenciesMs.sort((a, b) => a - b),
  }
}

interface OwnedSpot extends Spot {
  /** Whose token reads and writes it. */
  owner: Person
  /** In a conversation: who else, and how it is named from that side. */
  other?: { person: Person; spot: Spot }
}

/** Some rooms for everyone, and conversations of neighbours, seen from the first one's side. */
async function openSpots(url: string, people: readonly Person[]) {
  const rooms: OwnedSpot[] = []
  for (let i = 0; i < ROOMS; i++) {
    const owner = people[i % people.length]!
    const name = `${owner.name} room ${i}`
    const { id } = await ask<{ id: string }>(url, '/rooms', owner.token, { name })
    rooms.push({ timeline: id, path: `/room/${id}`, frame: { room: id }, owner })
  }
  const conversations: OwnedSpot[] = []
  for (let i = 0; i + 1 < people.length; i += 2)
    conversations.push(conversation(people[i]!, people[i + 1]!))
  return { rooms, conversations }
}

function conversation(owner: Person, person: Person): OwnedSpot {
  const timeline = `${owner.name} and ${person.name}`
  const conversationWith = ({ id }: Person) => ({
    timeline,
    path: `/user/${id}`,
    frame: { user: id },
  })
  return { ...conversationWith(person), owner, other: { person, spot: conversationWith(owner) } }
}

function talkersOf(
  url: string,
  journal: Journal,
  people: readonly Person[],
  rooms: readonly OwnedSpot[],
  conversations: readonly OwnedSpot[],
): Talker[] {
  const inRooms = people.map((person, i) => {
    const Kind = i % 2 === 0 ? HttpTalker : SocketTalker
    return new Kind(url, journal, person, rooms[i % rooms.length]!)
  })
  const toOthers = conversations.map((spot) => new SocketTalker(url, journal, spot.owner, spot))
  return [...inRooms, ...toOthers]
}

/** Each room by every transport, each conversation by two of them, one from either side. */
function listenersOf(
  url: string,
  journal: Journal,
  people: readonly Person[],
  rooms: readonly OwnedSpot[],
  conversations: readonly OwnedSpot[],
): Listener[] {
  const inRooms = people.map((person, i) => {
    const transport = transports[i % transports.length]!
    const room = rooms[Math.floor(i / transports.length) % rooms.length]!
    return new Listener(url, journal, person, room, transport)
  })
  const toOthers = conversations.flatMap((spot, i) => {
    const [here, there] = [i, i + 1].map((at) => transports[at % transports.length]!)
    const { person, spot: seen } = spot.other!
    return [
      new Listener(url, journal, spot.owner, spot, here!),
      new Listener(url, journal, person, seen, there!),
    ]
  })
  return [...inRooms, ...toOthers]
}

async function harmUntilDone(
  { server, seconds, kills, tell }: TrialOptions,
  talkers: readonly Talker[],
  listeners: readonly Listener[],
): Promise<{ kills: number; cuts: number }> {
  const startedAt = performance.now()
  const share = () => Math.min(1, (performance.now() - startedAt) / (seconds * 1_000))
  const done = { kills: 0, cuts: 0 }
  const all = [...talkers, ...listeners]
  while (share() < 1) {
    await pause(Math.random() * 2 * CUT_EVERY_MS)
    tell(share() * 0.95)
    // Kills are spread evenly, with talk before the first and after the last.
    if (server !== undefined && share() > (done.kills + 1) / (kills + 1) && done.kills < kills) {
      await server.kill()
      await server.start()
      done.kills += 1
    } else {
      all[Math.floor(Math.random() * all.length)]?.cut()
      done.cuts += 1
    }
  }
  return done
}

type Log = Map<Spot, { seq: number; text: string }[]>

async function readLogs(url: string, spots: readonly OwnedSpot[]): Promise<Log> {
  const log: Log = new Map()
  for (const spot of spots) {
    const events: { seq: number; text: string }[] = []
    log.set(spot, events)
    for (let size = PAGE; size === PAGE; ) {
      const query = `?after=${events.at(-1)?.seq ?? 0}&limit=${PAGE}`
      const path = `${spot.path}/messages${query}`
      const page = await ask<{ seq: number; text: string }[]>(url, path, spot.owner.token)
      events.push(...page)
      size = page.length
    }
  }
  return log
}

async function restUntil(isDone: () => boolean, msMax: number): Promise<void> {
  const deadline = performance.now() + msMax
  while (!isDone() && performance.now() < deadline) await pause(20)
}
