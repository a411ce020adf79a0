/** *talk*: a crowd comes together, and posts in an open loop, phase after phase. */
import { Crowd } from '../crowd.ts'
import { markOf, type Phase, type PhaseResult, type TalkJob, type TalkResult } from '../job.ts'
import type { Loop } from '../loop.ts'
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
    // A crowd that fell apart, or lags behind, is no longer what the next load says.
    if (crowd.lostConnections > 0 || crowd.behind() > 0) break
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
  const before = { bytes: received.bytes, lost: lostBy(crowd), twice: crowd.twice }
  tell({ mark: markOf.beginning(index) })
  const startedAt = performance.now()
  const fromMs = startedAt + phase.warmUpS * 1_000
  const toMs = fromMs + phase.seconds * 1_000
  meter.prepare(phase.schedules, fromMs, toMs)
  post(phase, startedAt, toMs, crowd, loop)
  const turn = (atS: number, ofS: number) =>
    tell({ progress: { phase: phase.name, atS, ofS, perSecond: meter.turn() } })
  await until(fromMs, loop)
  meter.start()
  tell({ mark: markOf.measuring(index) })
  for (let second = 1; second <= phase.seconds; second++) {
    await until(fromMs + second * 1_000, loop)
    turn(second, phase.seconds)
  }
  meter.stop()
  tell({ mark: markOf.measured(index) })
  await drain(crowd, toMs, phase.drainSMax, loop, (seconds) => turn(phase.seconds + seconds, 0))
  tell({ mark: markOf.drained(index) })
  const groups = meter.results()
  return {
    name: phase.name,
    groups: groups.map((group, i) => ({ readers: crowd.readersOf(phase.schedules[i]!), ...group })),
    drainedS: (performance.now() - startedAt) / 1_000,
    lost: lostBy(crowd) - before.lost,
    twice: crowd.twice - before.twice,
    receivedBytes: received.bytes - before.bytes,
  }
}

function lostBy(crowd: Crowd): number {
  return crowd.skipped + crowd.behind()
}

/** Waits until all have everything, or nobody can hope for it; `turn` is called every second. */
async function drain(
  crowd: Crowd,
  fromMs: number,
  secondsMax: number,
  loop: Loop,
  turn: (seconds: number) => void,
): Promise<void> {
  let seconds = 0
  while (crowd.behind() > 0 && crowd.lostConnections === 0) {
    await loop.sleep(DRAIN_CHECK_MS)
    const passed = Math.floor((performance.now() - fromMs) / 1_000)
    if (passed > seconds) turn(passed)
    seconds = passed
    if (seconds >= secondsMax) return
  }
}

/** Sends what is due when it is due, until all is sent. */
function post(
  { schedules }: Phase,
  startedAt: number,
  toMs: number,
  crowd: Crowd,
  loop: Loop,
): void {
  const sent = schedules.map(() => 0)
  const sendDue = () => {
    if (crowd.lostConnections > 0) return
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
}

function until(atMs: number, loop: Loop): Promise<void> {
  return new Promise((resolve) => loop.at(atMs, resolve))
}
