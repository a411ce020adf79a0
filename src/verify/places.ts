/** Where people talk and listen in a trial, and who of them does. */
import type { TimelineId } from '../types.ts'
import { ask } from './accounts.ts'
import type { Journal, Person, Spot } from './journal.ts'
import { HttpTalker, Listener, SocketTalker, type Talker, type Where } from './people.ts'
import { type Transport, transports } from './transports.ts'

const ROOMS = 3
/**
 * The runtime has at most 256 requests open at once, and lets others wait: those that are held to
 * listen must leave room for posts.
 */
export const REQUESTS_HELD_MAX = 128

/** A spot, and with whose token it is read. */
export interface Seat extends Spot {
  owner: Person
}

/** From either side: each reaches it through the other. */
export type Conversation = readonly [one: Seat, other: Seat]

export interface Places {
  people: readonly Person[]
  rooms: readonly Seat[]
  /** Of neighbours. */
  conversations: readonly Conversation[]
  /** One for each person, and one for the stranger. */
  inboxes: readonly Seat[]
  /** To whom nobody speaks: an inbox and a conversation in which nothing must ever appear. */
  stranger: { person: Person; inbox: Seat; conversation: Seat }
}

/** The last of `everyone` is the stranger. */
export async function openPlaces(where: Where, everyone: readonly Person[]): Promise<Places> {
  const people = everyone.slice(0, -1)
  const person = everyone.at(-1)!
  const rooms: Seat[] = []
  for (let i = 0; i < ROOMS; i++) {
    const owner = people[i % people.length]!
    const name = `${owner.name} room ${i}`
    const { id } = await ask<{ id: string }>(where(), '/rooms', owner.token, { name })
    rooms.push({ timeline: id, path: `/room/${id}`, frame: { room: id }, owner })
  }
  const conversations: Conversation[] = []
  for (let i = 0; i + 1 < people.length; i += 2)
    conversations.push(conversationOf(people[i]!, people[i + 1]!))
  const inboxes = everyone.map(inboxOf)
  const [conversation] = conversationOf(person, people[0]!)
  const stranger = { person, inbox: inboxes.at(-1)!, conversation }
  return { people, rooms, conversations, inboxes, stranger }
}

function conversationOf(one: Person, other: Person): Conversation {
  const timeline = `${one.name} and ${other.name}`
  const seat = (owner: Person, { id }: Person): Seat => ({
    ...{ timeline, path: `/user/${id}`, frame: { user: id }, owner },
  })
  return [seat(one, other), seat(other, one)]
}

function inboxOf(owner: Person): Seat {
  return { timeline: `inbox of ${owner.name}`, path: '', frame: { inbox: true }, owner }
}

/** Each timeline once. */
export function seatsOf({ rooms, conversations, inboxes, stranger }: Places): Seat[] {
  return [...rooms, ...conversations.map(([seat]) => seat), ...inboxes, stranger.conversation]
}

/** Who may read what is not for everyone. */
export function membersOf(places: Places): Map<TimelineId, string[]> {
  const { people, conversations, inboxes, stranger } = places
  const own = inboxes.map(({ timeline, owner }): [string, string[]] => [timeline, [owner.name]])
  const pairs = conversations.map(([one, other]): [string, string[]] => [
    one.timeline,
    [one.owner.name, other.owner.name],
  ])
  const strange = [stranger.person.name, people[0]!.name]
  return new Map([...own, ...pairs, [stranger.conversation.timeline, strange]])
}

/** Everybody talks in a room, and in a conversation if there is one: one by frame, one by HTTP. */
export function talkersIn(places: Places, where: Where, journal: Journal): Talker[] {
  const { people, rooms, conversations } = places
  const inRooms = people.map((person, i) => {
    const Kind = i % 2 === 0 ? HttpTalker : SocketTalker
    return new Kind(where, journal, person, rooms[i % rooms.length]!)
  })
  const toOthers = conversations.flatMap(([one, other]) => [
    new SocketTalker(where, journal, one.owner, one),
    new HttpTalker(where, journal, other.owner, other),
  ])
  return [...inRooms, ...toOthers]
}

/**
 * Each room by every transport, each conversation by two of them, one from either side, each inbox
 * by one, and the stranger's by all.
 */
export function listenersIn(places: Places, where: Where, journal: Journal): Listener[] {
  const { people, rooms, conversations, inboxes, stranger } = places
  const room = (i: number) => rooms[Math.floor(i / transports.length) % rooms.length]!
  const wishes: Wish[] = [
    ...people.map((person, i): Wish => [room(i), i, person]),
    ...conversations.flatMap(([one, other], i): Wish[] => [
      [one, i, one.owner],
      [other, i + 1, other.owner],
    ]),
    ...inboxes.map((inbox, i): Wish => [inbox, i + 2, inbox.owner]),
    ...transports.flatMap((_, i): Wish[] => [
      [stranger.inbox, i, stranger.person],
      [stranger.conversation, i, stranger.person],
    ]),
  ]
  return sparing(wishes.map(([, i]) => transports[i % transports.length]!)).map((transport, i) => {
    const [seat, , person] = wishes[i]!
    return new Listener(where, journal, person, seat, transport)
  })
}

/** Who would listen where, and by which of the transports, counted round. */
type Wish = [seat: Seat, transport: number, person: Person]

/** The same, but evenly spread WebSockets instead of requests that would be too many. */
export function sparing(wanted: readonly Transport[]): Transport[] {
  const requests = wanted.filter((transport) => transport !== 'websocket').length
  const share = Math.min(1, REQUESTS_HELD_MAX / requests)
  let due = 0
  return wanted.map((transport) => {
    if (transport === 'websocket') return transport
    due += share
    if (due < 1) return 'websocket'
    due -= 1
    return transport
  })
}
