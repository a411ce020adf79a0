/**
 * A story is made of a seed: a setting, and steps that people, nodes and the weather take. The same
 * seed and the same steps are the same run, so one with steps left out can be told again as well.
 */
import { createRandom } from '../client/sim/clock.ts'
import type { PageWish } from './pages.ts'
import type { Door } from './person.ts'
import type { BusWeather, StoreWeather } from './weather.ts'
import { ROOMS, type Setting } from './world.ts'

/** Where: a room, a person, or the own inbox, by number. */
export type Spot = { room: number } | { person: number } | { inbox: true }

export type Step = { afterMs: number } & (
  | { come: number; door: Door }
  | { leave: number }
  | { post: number; to: Exclude<Spot, { inbox: true }>; count: number; chars: number }
  | { again: number; which: number; isReuse: boolean }
  | { follow: number; spot: Spot; after: number | undefined }
  | { unfollow: number; which: number }
  | { page: number; spot: Spot; wish: Omit<PageWish, 'target'> }
  | { stall: number; forMs: number }
  | { drop: number; isSeen: boolean }
  | { signOut: number }
  | { kill: number }
  | { drain: number }
  | { part: number; forMs: number }
  | { backUp: true }
  | { restore: true }
  | { store: StoreWeather; forMs: number }
  | { bus: BusWeather; forMs: number }
  | { networkMs: number; forMs: number }
)

export interface Story {
  setting: Setting
  steps: Step[]
  /** In the end all becomes well, and then everything must arrive. */
  isLively: boolean
}

class Dice {
  readonly random: () => number

  constructor(seed: number) {
    this.random = createRandom(seed)
  }

  below(max: number): number {
    return Math.floor(this.random() * max)
  }

  of<T>(...all: readonly T[]): T {
    return all[this.below(all.length)]!
  }

  chance(part: number): boolean {
    return this.random() < part
  }
}

export function storyOf(seed: number): Story {
  const dice = new Dice(seed)
  const setting = settingOf(dice, seed)
  const steps: Step[] = []
  // Everybody is there in the beginning, and follows something.
  for (let person = 0; person < setting.people; person++) {
    steps.push({ afterMs: 0, come: person, door: dice.of('header', 'frame', 'path') })
    steps.push({ afterMs: 0, follow: person, spot: spot(dice, setting), after: 0 })
  }
  const count = 20 + dice.below(50)
  for (let i = 0; i < count; i++) steps.push(stepOf(dice, setting))
  return { setting, steps, isLively: dice.chance(0.6) }
}

function settingOf(dice: Dice, seed: number): Setting {
  const isCrowd = dice.chance(0.04)
  const config = {
    tailEventsMax: dice.of(2, 8, 64),
    tailBytesMax: dice.of(1_024, 4_096, 1 << 20),
    tailsBytesMax: dice.of(1_024, 1 << 20),
    idleTimelinesMax: dice.of(0, 1, 10),
    slowReaderBytesMax: dice.of(65_536, 200_000),
    storeTimeoutMs: dice.of(300, 2_000),
    postQueueMax: dice.of(10, 1_000),
    batchEventsMax: dice.of(1, 4, 4_096),
    socketQueueMax: dice.of(32, 1_024),
    sessionsCachedMax: dice.of(1, 100),
    placesCachedMax: dice.of(1, 100),
    sessionsPerUserMax: dice.of(2, 100),
    tickMsMax: dice.of(0, 200),
  }
  return {
    seed,
    nodes: dice.of(1, 1, 2, 3),
    people: isCrowd ? 24 : 2 + dice.below(4),
    slow: dice.of(0, 0, 0.05, 0.3),
    kernelBytes: dice.of(400, 4_000, 100_000),
    config,
  }
}

function spot(dice: Dice, { people }: Setting): Spot {
  const fate = dice.random()
  if (fate < 0.6) return { room: dice.below(ROOMS) }
  return fate < 0.8 ? { person: dice.below(people) } : { inbox: true }
}

/** How long until the next one: often at once, sometimes long enough for all to settle. */
function afterMs(dice: Dice): number {
  return dice.of(0, 0, 1, 3, 10, 30, 100, 400, 1_500) * dice.random()
}

function stepOf(dice: Dice, setting: Setting): Step {
  const who = dice.below(setting.people)
  const common = { afterMs: afterMs(dice) }
  const fate = dice.random() * 100
  if (fate < 42) return { ...common, ...postOf(dice, setting, who) }
  if (fate < 45) return { ...common, again: who, which: dice.random(), isReuse: dice.chance(0.5) }
  if (fate < 54) return { ...common, ...followOf(dice, setting, who) }
  if (fate < 58) return { ...common, unfollow: who, which: dice.random() }
  if (fate < 66) return { ...common, page: who, spot: spot(dice, setting), wish: wishOf(dice) }
  if (fate < 70) return { ...common, stall: who, forMs: dice.of(50, 800, 6_000) }
  if (fate < 76) return { ...common, drop: who, isSeen: dice.chance(0.6) }
  if (fate < 78) return { ...common, leave: who }
  if (fate < 82) return { ...common, come: who, door: dice.of('header', 'frame', 'path') }
  if (fate < 85) return { ...common, signOut: who }
  return { ...common, ...troubleOf(dice, setting) }
}

type Bare<One> = One extends Step ? Omit<One, 'afterMs'> : never

function postOf(dice: Dice, setting: Setting, who: number): Bare<Step> {
  const to = dice.chance(0.75)
    ? { room: dice.below(ROOMS) }
    : { person: dice.below(setting.people) }
  const count = dice.chance(0.03) ? 250 : 1 + dice.below(6)
  return { post: who, to, count, chars: count > 6 ? 0 : dice.of(0, 0, 20, 300, 12_000) }
}

function followOf(dice: Dice, setting: Setting, who: number): Bare<Step> {
  return { follow: who, spot: spot(dice, setting), after: dice.of(0, 0, undefined, 3, 1_000) }
}

function wishOf(dice: Dice): Omit<PageWish, 'target'> {
  const by = dice.of('newest', 'after', 'before', 'around')
  return { by, at: dice.random(), limit: dice.of(1, 3, 10, 300) }
}

function troubleOf(dice: Dice, { nodes }: Setting): Bare<Step> {
  const forMs = dice.of(100, 1_000, 4_000)
  const fate = dice.random() * 15
  if (fate < 3) return { kill: dice.below(nodes) }
  if (fate < 4) return { drain: dice.below(nodes) }
  if (fate < 5) return { part: dice.below(nodes), forMs }
  if (fate < 6) return { backUp: true }
  if (fate < 6.5) return { restore: true }
  if (fate < 10) return { store: storeWeather(dice), forMs }
  if (fate < 13) return { bus: busWeather(dice), forMs }
  return { networkMs: dice.of(20, 300), forMs }
}

function storeWeather(dice: Dice): StoreWeather {
  return {
    latencyMs: dice.of(5, 40, 400, 1_500),
    refuses: dice.of(0, 0.1, 0.5),
    unknown: dice.of(0, 0.1, 0.4),
    readFails: dice.of(0, 0.1, 0.5),
    kills: dice.of(0, 0, 0.02, 0.2),
  }
}

function busWeather(dice: Dice): BusWeather {
  return {
    latencyMs: dice.of(5, 40, 400),
    loses: dice.of(0, 0.1, 0.5, 1),
    doubles: dice.of(0, 0.2),
  }
}
