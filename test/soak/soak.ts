/**
 * One server under a mixed load for hours. In rounds, people who are watched by the checker talk
 * while their connections are cut, beside everything that `habits.ts` does; meanwhile the server's
 * memory and open files are looked at. It must not grow, refuse, or fail; and when all have left,
 * nothing of them may be left behind.
 */
import { runTrial } from '../../src/verify/trial.ts'
import { ServerProcess, signUp } from '../harness.ts'
import { Habits, type Tally } from './habits.ts'
import {
  countClients,
  countOpenFiles,
  readMetrics,
  type Sample,
  sumOf,
  takeSample,
  trendOf,
} from './samples.ts'

const PEOPLE = 16
const SAMPLES_A_RUN_MAX = 400
const SAMPLE_MS_MIN = 250
const LEFT_MS_MAX = 60_000
/** Told one by one. */
const FAULTS_MAX = 20
/**
 * When everybody has left, beside what was open before they came, and without the connections that
 * we still hold open ourselves: those of requests are kept for the next one.
 */
const FILES_LEFT_MAX = 4

/**
 * Caches so small that they are full within minutes: what grows after that is a leak. One thread
 * reads the database, because others, started whenever the disk stalls, bring files and a cache of
 * 32 MiB each, and stay. The rest is as it is by default, but that nobody is limited.
 */
const SETTINGS = {
  sessionsCachedMax: 500,
  placesCachedMax: 500,
  idleTimelinesMax: 50,
  tailBytesMax: 2 ** 20,
  tailsBytesMax: 4 * 2 ** 20,
  storeReadersMax: 1,
  slowReaderMs: 10_000,
  connectionsPerUserMax: 500,
}

export interface SoakOptions {
  seconds: number
  roundSeconds: number
  /** Of the server, besides those that keep its caches small. */
  settings?: Record<string, number>
  tell(told: { atS: number; round: number; sample: Sample; tally: Tally }): void
}

export interface Soak {
  samples: Sample[]
  tally: Tally
  rounds: number
  acknowledged: number
  /** Of the rounds, p99 from post to reader, in their order. */
  p99sMs: number[]
  /** Readers that were closed because they stopped reading. */
  tooSlow: number
  trend: ReturnType<typeof trendOf>
  faults: string[]
}

export async function soak({ seconds, roundSeconds, settings, tell }: SoakOptions): Promise<Soak> {
  const faults: string[] = []
  const wrong = (what: string) => faults.length < FAULTS_MAX && faults.push(what)
  const server = await ServerProcess.start({ ...SETTINGS, ...settings })
  try {
    // The first sign-up starts what hashes passwords, which stays.
    await signUp(server.url)
    const filesBefore = countOpenFiles(server.pid) - countClients(server.url)
    const habits = new Habits(server.url, wrong)
    await habits.start()
    const samples: Sample[] = []
    const startedAt = performance.now()
    const atS = () => (performance.now() - startedAt) / 1_000
    const rounds = { done: 0, acknowledged: 0, p99sMs: [] as number[] }
    const look = async () => {
      const sample = await takeSample(server.url, server.pid, atS())
      samples.push(sample)
      tell({ atS: atS(), round: rounds.done + 1, sample, tally: habits.tally })
    }
    const everyMs = Math.max(SAMPLE_MS_MIN, (seconds * 1_000) / SAMPLES_A_RUN_MAX)
    const looking = setInterval(() => void look().catch((error) => wrong(String(error))), everyMs)
    try {
      while (atS() < seconds) await playRound(server.url, roundSeconds, rounds, wrong)
    } finally {
      clearInterval(looking)
      await habits.stop()
    }
    const metrics = await readMetrics(server.url)
    for (const [name, value] of metrics)
      if (/^parley_http_responses_total.*"5\d\d"/.test(name) && value > 0)
        wrong(`${value} answers: ${name}`)
    await nothingIsLeft(server, filesBefore, wrong)
    if (server.errors !== '') wrong(`the log says: ${server.errors.slice(0, 500)}`)
    const trend = trendOf(samples)
    const tooSlow = sumOf(metrics, 'parley_connections_dropped_total{cause="too_slow"}')
    return {
      ...{ samples, tally: habits.tally, rounds: rounds.done, tooSlow, trend },
      ...{ acknowledged: rounds.acknowledged, p99sMs: rounds.p99sMs },
      faults: [...faults, ...trend.faults],
    }
  } finally {
    await server.stopAndForget()
  }
}

async function playRound(
  url: string,
  seconds: number,
  rounds: { done: number; acknowledged: number; p99sMs: number[] },
  wrong: (what: string) => void,
): Promise<void> {
  const options = { urls: [url], servers: [], people: PEOPLE, seconds, kills: 0, tell: () => {} }
  const { faults, acknowledged, latenciesMs } = await runTrial(options)
  for (const { kind, what } of faults) wrong(`round ${rounds.done + 1}: ${kind}: ${what}`)
  rounds.done += 1
  rounds.acknowledged += acknowledged
  rounds.p99sMs.push(latenciesMs[Math.floor(latenciesMs.length * 0.99)] ?? 0)
}

/** Connections that were cut are noticed when the server next writes to them. */
async function nothingIsLeft(
  server: ServerProcess,
  filesBefore: number,
  wrong: (what: string) => void,
): Promise<void> {
  const deadline = performance.now() + LEFT_MS_MAX
  for (;;) {
    const metrics = await readMetrics(server.url)
    const left = ['parley_connections', 'parley_subscriptions', 'parley_post_queue_events']
      .map((name) => [name, sumOf(metrics, name)] as const)
      .filter(([, value]) => value > 0)
    const files = countOpenFiles(server.pid) - countClients(server.url) - filesBefore
    if (left.length === 0 && files <= FILES_LEFT_MAX) return
    if (performance.now() > deadline) {
      for (const [name, value] of left) wrong(`when all have left, ${name} is ${value}`)
      if (files > FILES_LEFT_MAX) wrong(`when all have left, ${files} more files are open`)
      return
    }
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}
