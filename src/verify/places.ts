/** Where people talk and listen in a trial, and who of them does. */
import type { TimelineId } from '../types.ts'
import { ask } from './accounts.ts'
import type { Journal, Person, Spot } from './journal.ts'
import { HttpTalker, Listener, SocketTalker, type Talker, type Where } from './people.ts'
import { transports } from './transports.ts'

const ROOMS = 3

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
  const listener = (seat: Seat, i: number, person = seat.owner) =>
    new Listener(where, journal, person, seat, transports[i % transports.length]!)
  const room = (i: number) => rooms[Math.floor(i / transports.length) % rooms.length]!
  return [
    ...people.map((person, i) => listener(room(i), i, person)),
    ...conversations.flatMap(([one, other], i) => [listener(one, i), listener(other, i + 1)]),
    ...inboxes.map((inbox, i) => listener(inbox, i + 2)),
    ...transports.map((_, i) => listener(stranger.inbox, i)),
    ...transports.map((_, i) => listener(stranger.conversation, i)),
  ]
}
