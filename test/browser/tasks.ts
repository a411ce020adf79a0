/** What the page's own thread was busy with while something was going on. */
import type { Page } from 'playwright-core'

const TASKS = 'disabled-by-default-devtools.timeline'

interface TraceEvent {
  name: string
  pid: number
  tid: number
  /** CPU time, in microseconds. */
  tdur?: number
  args: { name?: string }
}

/**
 * What each task on the page's main thread took, in milliseconds of CPU time: how long a core was
 * busy with it, not how long it had to wait for one, which is the affair of the machine.
 */
export async function tracedTasks(page: Page, work: () => Promise<void>): Promise<number[]> {
  const chromium = page.context().browser()!
  await chromium.startTracing(page, { categories: ['__metadata', TASKS] })
  await work()
  const { traceEvents } = JSON.parse((await chromium.stopTracing()).toString()) as {
    traceEvents: TraceEvent[]
  }
  const main = traceEvents.filter(
    ({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain',
  )
  return traceEvents
    .filter(({ name, pid, tid }) => {
      const isMain = main.some((thread) => thread.pid === pid && thread.tid === tid)
      return isMain && name === 'RunTask'
    })
    .map(({ tdur = 0 }) => Math.round(tdur / 1_000))
}
