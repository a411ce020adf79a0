/** One person signed in at the model server over a calm network, and what a test does to them. */
import { Parley } from '../../../client/parley.ts'
import type { Message, ParleyOptions, Status } from '../../../client/types.ts'
import { SimClock } from './clock.ts'
import { Network } from './network.ts'
import { ModelServer } from './server.ts'

export interface Scene {
  clock: SimClock
  server: ModelServer
  network: Network
  parley: Parley
  /** Every state that was told, in order. */
  states: Status[]
}

export const TOKEN = 'secret'

/** `random` is what chance says each time; without it, it is drawn. */
export function stage(options: Partial<ParleyOptions> & { random?: number } = {}): Scene {
  const { random, ...given } = options
  const clock = new SimClock(1)
  if (random !== undefined) Object.assign(clock, { random: () => random })
  const server = new ModelServer(clock)
  const network = new Network(clock, server)
  server.tokens.set(TOKEN, 'ann')
  const { fetch, WebSocket } = network
  const parley = new Parley({
    ...{ url: 'http://sim', token: TOKEN, fetch, WebSocket, clock },
    ...given,
  })
  const states: Status[] = []
  parley.onStatus((status) => states.push(status))
  return { clock, server, network, parley, states }
}

export async function signedIn(options?: Parameters<typeof stage>[0]): Promise<Scene> {
  const scene = stage(options)
  const resumed = scene.parley.resume()
  await scene.clock.advance(1_000)
  await resumed
  return scene
}

/** Signed in and following a room, live. */
export async function live(options?: Parameters<typeof stage>[0]) {
  const scene = await signedIn(options)
  const subscription = scene.parley.room('r1').subscribe()
  const seqs: number[] = []
  subscription.on('events', (events) => seqs.push(...events.map(({ seq }) => seq)))
  await scene.clock.advance(1_000)
  return { ...scene, subscription, seqs }
}

export function say({ server }: Scene, count: number, room = 'r1'): void {
  for (let i = 0; i < count; i++) server.commit('cat', { room }, `said ${i}`)
}

/** The pages of history that were asked for. */
export function pages({ network }: Scene): string[] {
  return network.requests.filter((path) => path.includes('/messages'))
}

export function subscribes({ network }: Scene) {
  return network.sent.filter(({ op }) => op === 'subscribe')
}

/** Keeps the frames that bring this event from arriving. */
export function loseEvent(scene: Scene, lost: number): void {
  const { connections } = scene.server
  for (const connection of connections) {
    const { send } = connection
    connection.send = (frame) => {
      const { events } = frame as { events?: Message[] }
      if (!events?.some(({ seq }) => seq === lost)) send(frame)
    }
  }
}
