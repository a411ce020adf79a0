/** *talk*: a crowd comes together, and posts in an open loop, phase after phase. */
import { Crowd } from '../crowd.ts'
import { markOf, type Phase, type PhaseResult, type TalkJob, type TalkResult } from '../job.ts'
import type { JobContext } from '../main.ts'
import { Meter } from '../meter.ts'
import { received } from '../tcp.ts'

/** After the crowd has come together, so that its coming is no part of what is measured. */
const SETTLE_MS = 500
/** The loop sleeps by whole milliseconds; less would only wake it without a post to send. */
const PACE_MS = 1
const DRAIN_CHECK_MS = 10

export async function talk(job: TalkJob, context: JobContext): Promise<TalkResult> {
  const meter = new Meter(job.setup.rooms.length)
  const crowd = new Crowd(context.loop, job, context.createDialect, meter)
  const seconds = await crowd.open()
  await context.loop.sleep(SETTLE_MS)
  const phases: PhaseResult[] = []
  for (const [index, phase] of job.phases.entries()) {
    // A crowd that fell apart is no longer what the load says.
    if (crowd.lostConnections > 0) break
    phases.push(await runPhase(index, phase, crowd, meter, context))
  }
  const result = {
    opening: { connections: crowd.members.length, seconds },
    phases,
    acknowledged: crowd.acknowledgements,
    posted: crowd.posted,
    lost: crowd.skipped + crowd.behind(),
    twice: crowd.twice,
    faults: crowd.faults.texts,
    faultCount: crowd.faults.count,
  }
  crowd.close()
  return result
}

async function runPhase(
  index: number,
  phase: Phase,
  crowd: Crowd,
  meter: Meter,
  { loop, tell }: JobContext,
): Promise<PhaseResult> {
  Bun.gc(true)
  const startedAt = performance.now()
  const fromMs = startedAt + phase.warmUpS * 1_000
  const toMs = fromMs + phase.seconds * 1_000
  meter.prepare(phase.schedules, fromMs, toMs)
  const bytesBefore = received.bytes
  const stopPosting = post(phase, startedAt, toMs, crowd, loop)
  await until(fromMs, loop)
  meter.start()
  tell({ mark: markOf.measuring(index) })
  for (let second = 1; second <= phase.seconds; second++) {
    await until(fromMs + second * 1_000, loop)
    const perSecond = meter.turn()
    tell({ progress: { phase: phase.name, atS: second, ofS: phase.seconds, perSecond } })
  }
  meter.stop()
  tell({ mark: markOf.measured(index) })
  const giveUpAt = toMs + phase.drainSMax * 1_000
  while (crowd.behind() > 0 && performance.now() < giveUpAt && crowd.lostConnections === 0)
    await loop.sleep(DRAIN_CHECK_MS)
  stopPosting()
  return {
    name: phase.name,
    groups: meter.results(),
    drainedS: (performance.now() - startedAt) / 1_000,
    behind: crowd.behind(),
    receivedBytes: received.bytes - bytesBefore,
  }
}

/** Sends what is due until all is sent; the function returned ends it before. */
function post(
  { schedules }: Phase,
  startedAt: number,
  toMs: number,
  crowd: Crowd,
  loop: JobContext['loop'],
): () => void {
  const sent = schedules.map(() => 0)
  let isStopped = false
  const sendDue = () => {
    if (isStopped || crowd.lostConnections > 0) return
    const now = performance.now()
    let nextAt = Number.POSITIVE_INFINITY
    for (const [i, { from, rooms, postsPerSecond }] of schedules.entries()) {
      let atMs = startedAt + (sent[i]! / postsPerSecond) * 1_000
      while (atMs <= now && atMs < toMs) {
        crowd.post(from + (sent[i]! % rooms), atMs)
        sent[i]! += 1
        atMs = startedAt + (sent[i]! / postsPerSecond) * 1_000
      }
      if (atMs < toMs) nextAt = Math.min(nextAt, atMs)
    }
    if (nextAt < toMs) loop.at(Math.max(nextAt, now + PACE_MS), sendDue)
  }
  sendDue()
  return () => {
    isStopped = true
  }
}

function until(atMs: number, loop: JobContext['loop']): Promise<void> {
  return new Promise((resolve) => loop.at(atMs, resolve))
}
