/**
 * The load generator: a process of its own, `bun bench/generator/main.ts JOB.json`, which does the
 * job in the file and tells of it in lines of JSON (see `job.ts`). Linux only.
 */
import { readFileSync, writeSync } from 'node:fs'
import type { CreateDialect } from './dialect.ts'
import type { Line } from './job.ts'
import { idle } from './jobs/idle.ts'
import { pages } from './jobs/pages.ts'
import { posts } from './jobs/posts.ts'
import { resume } from './jobs/resume.ts'
import { signIns } from './jobs/sign-ins.ts'
import { talk } from './jobs/talk.ts'
import { Loop } from './loop.ts'

export interface JobContext {
  loop: Loop
  /** Of the job's `dialect`, if it names one. */
  createDialect: CreateDialect
  /** Bench reads it at once, so it is never held back. */
  tell(line: Line): void
}

// biome-ignore lint/suspicious/noExplicitAny: each job's own file says what it reads.
type RunJob = (job: any, context: JobContext) => Promise<unknown>

/** By the job's `kind`. */
const jobs: Record<string, RunJob> = { idle, pages, posts, resume, 'sign-ins': signIns, talk }

const STDOUT = 1

function tell(line: Line): void {
  writeSync(STDOUT, `${JSON.stringify(line)}\n`)
}

/** Modules are loaded by the runtime's own loop, which gets no turn once the job runs. */
async function loadDialect(path: string | undefined): Promise<CreateDialect> {
  if (path !== undefined) return (await import(path)).createDialect
  return () => {
    throw new Error('The job names no dialect.')
  }
}

async function run(path: string): Promise<number> {
  const job = JSON.parse(readFileSync(path, 'utf8')) as { kind: string; dialect?: string }
  const runJob = jobs[job.kind]
  if (runJob === undefined) throw new Error(`There is no job "${job.kind}".`)
  const createDialect = await loadDialect(job.dialect)
  const loop = new Loop()
  let code = 0
  runJob(job, { loop, createDialect, tell })
    .then((result) => tell({ result }))
    .catch((error: Error) => {
      console.error(error.stack ?? error.message)
      code = 1
    })
    .finally(() => loop.stop())
  loop.run()
  return code
}

if (import.meta.main) process.exit(await run(process.argv[2]!))
