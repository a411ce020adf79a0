/** Tells a story: one run from its beginning to its judgement, without a look at the real time. */
import type { Target } from './follow.ts'
import type { Complaint } from './history.ts'
import { takeOver } from './scheduler.ts'
import type { Spot, Step, Story } from './story.ts'
import { calm } from './weather.ts'
import { World } from './world.ts'

export interface Outcome {
  complaints: Complaint[]
  operations: number
  deliveries: number
  /** See `History`. */
  digest: number
  /** How much time has passed in the story. */
  tookMs: number
}

/** Longer than the longest waits one after the other, once all is well. */
const HEAL_MS = 25_000
/** For everybody's going to be noticed. */
const EMPTY_MS = 8_000

export function tell({ setting, steps, isLively }: Story): Outcome {
  const world = new World(setting)
  const { scheduler, history, disk } = world
  const giveBack = takeOver(scheduler)
  try {
    world.begin()
    for (const step of steps) {
      scheduler.pass(step.afterMs)
      scheduler.within(null, () => take(world, step))
    }
    if (isLively) heal(world)
    history.judge(disk)
  } catch (error) {
    world.uncaught(error)
  } finally {
    giveBack()
  }
  const { complaints, operations, deliveries, digest } = history
  return { complaints, operations, deliveries, digest, tookMs: scheduler.now }
}

function heal(world: World): void {
  const { scheduler, history, people } = world
  world.weather = calm()
  world.join()
  scheduler.within(null, () => {
    for (const person of people) {
      person.wire?.resume()
      person.come()
    }
  })
  scheduler.pass(HEAL_MS)
  for (const person of people) person.checkEnd()
  scheduler.within(null, () => {
    for (const person of people) person.leave()
  })
  scheduler.pass(EMPTY_MS)
  for (const node of world.nodes)
    for (const what of node?.leftovers() ?? []) history.complain('leftover', what)
}

function take(world: World, step: Step): void {
  if ('kill' in step) world.killNode(step.kill)
  else if ('drain' in step) world.drainNode(step.drain)
  else if ('part' in step) part(world, step.part, step.forMs)
  else if ('backUp' in step) world.disk.backUp()
  else if ('restore' in step) world.restore()
  else if ('forMs' in step && !('stall' in step)) changeWeather(world, step)
  else takePersonal(world, step)
}

function part(world: World, place: number, forMs: number): void {
  world.part(place)
  world.scheduler.after(forMs, () => world.join(), null)
}

type Change = Extract<Step, { store: unknown } | { bus: unknown } | { networkMs: unknown }>

function changeWeather(world: World, step: Change): void {
  const { weather } = world
  if ('store' in step) weather.store = step.store
  else if ('bus' in step) weather.bus = step.bus
  else weather.network = { latencyMs: step.networkMs }
  const end = () => {
    if ('store' in step) weather.store = calm().store
    else if ('bus' in step) weather.bus = calm().bus
    else weather.network = calm().network
  }
  world.scheduler.after(step.forMs, end, null)
}

type Personal = Exclude<
  Step,
  | Change
  | { kill: unknown }
  | { drain: unknown }
  | { part: unknown }
  | { backUp: unknown }
  | { restore: unknown }
>

function takePersonal(world: World, step: Personal): void {
  const { people, scheduler } = world
  if ('come' in step) {
    const person = people[step.come]!
    person.door = step.door
    person.come()
  } else if ('leave' in step) people[step.leave]!.leave()
  else if ('post' in step) {
    const to = targetOf(world, step.to) as { room: string } | { user: string }
    people[step.post]!.post(to, step.count, step.chars)
  } else if ('again' in step) people[step.again]!.again(step.which, step.isReuse)
  else if ('follow' in step) people[step.follow]!.follow(targetOf(world, step.spot), step.after)
  else if ('unfollow' in step) people[step.unfollow]!.unfollow(step.which)
  else if ('page' in step)
    people[step.page]!.pages.read({ ...step.wish, target: targetOf(world, step.spot) })
  else if ('signOut' in step) people[step.signOut]!.signOut()
  else if ('drop' in step) {
    const { wire } = people[step.drop]!
    if (step.isSeen) wire?.drop()
    else wire?.deafen()
  } else {
    const { wire } = people[step.stall]!
    if (wire === undefined) return
    wire.stalled = true
    scheduler.after(step.forMs, () => wire.resume(), null)
  }
}

function targetOf(world: World, spot: Spot): Target {
  if ('room' in spot) return { room: world.rooms[spot.room]! }
  return 'person' in spot ? { user: world.people[spot.person]!.user.id } : { inbox: true }
}
