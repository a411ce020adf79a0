/** A question over HTTP, to any node that is up. */
import type { SimNode } from './node.ts'
import type { World } from './world.ts'

/** Whoever gets no answer gives up. */
const ANSWER_MS_MAX = 5_000

/** With an error or with a result. */
export type Answered<T> = (error: unknown, result?: T) => void

/** Answered once in any case, if only because the asker's patience has an end. */
export function request<T>(
  world: World,
  work: (node: SimNode) => Promise<T>,
  done: Answered<T>,
): void {
  const { scheduler, history } = world
  history.operations += 1
  let isAnswered = false
  const answer: Answered<T> = (error, result) => {
    if (isAnswered) return
    isAnswered = true
    done(error, result)
  }
  const travel = (arrive: () => void, node?: SimNode) =>
    scheduler.after(
      scheduler.below(world.weather.network.latencyMs),
      arrive,
      node === undefined ? null : node.life,
    )
  scheduler.after(ANSWER_MS_MAX, () => answer('no answer'), null)
  const node = world.someNode()
  if (node === undefined) return void travel(() => answer('nobody is there'))
  travel(() => {
    work(node).then(
      (result) => travel(() => answer(undefined, result)),
      (error) => travel(() => answer(error)),
    )
  }, node)
}
